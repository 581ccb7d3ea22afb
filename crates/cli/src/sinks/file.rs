//! A file as a sink: JSON lines are appended and synced. It is opened for each batch, so that whoever
//! rotates logs can move it away at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// One file.
pub(super) struct FileSink(PathBuf);

impl FileSink {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Appends lines, durably.
    pub(super) async fn append(&self, lines: Vec<String>) -> Result<(), io::ErrorKind> {
        let path = self.0.clone();
        let written = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        let written = written.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted)));
        written.map_err(|error| error.kind())
    }
}

fn append(path: &Path, lines: &[String]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).read(true).mode(0o600).open(path)?;
    let mut text =
        String::with_capacity(lines.iter().map(|line| line.len() + 1).sum::<usize>() + 1);
    if breaks_off(&mut file)? {
        text.push('\n');
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Whether the last line lacks its end: this process was killed while it wrote. The record comes
/// again in whole.
fn breaks_off(file: &mut File) -> io::Result<bool> {
    let is_regular = file.metadata()?.is_file();
    if !is_regular || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_also_after_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let sink = FileSink::new(path.clone());
        sink.append(vec!["one".into(), "two".into()]).await.unwrap();
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        sink.append(vec!["three".into()]).await.unwrap();
        sink.append(vec!["four".into()]).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\ntwo\nthr\nthree\nfour\n");
        let folder = FileSink::new(folder.path().into());
        assert_eq!(folder.append(vec!["x".into()]).await, Err(io::ErrorKind::IsADirectory));
    }
}
