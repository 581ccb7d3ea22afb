//! Secret values on their way in: from standard input, a file or a hidden prompt, never from an
//! argument, and in buffers that are wiped.

use super::prompt;
use anyhow::Context as _;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any field may hold; a larger file is the wrong file.
const MAX_INPUT: usize = 4 << 20;
const FIRST_BUFFER: usize = 8 << 10;

/// What `--field`, `--secret-field` and `--value-file` say.
#[derive(clap::Args)]
pub(crate) struct FieldOptions {
    /// A field that is no secret, as name=value.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) plain: Vec<(String, String)>,
    /// A secret field; its value is read or asked for, in the order of the names.
    #[arg(long = "secret-field", value_name = "NAME")]
    pub(crate) secret: Vec<String>,
    /// Where the secret values are: a file for each, or one file with a line for each; `-` is
    /// standard input. Without it they are asked for on the terminal, or read from standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) value_file: Vec<PathBuf>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// One field as it is sent.
pub(crate) enum Field {
    /// A plain field that the type or app knows as such.
    Plain(String),
    /// A plain field of a custom credential, which has to say so.
    MarkedPlain(String),
    /// A secret.
    Secret(Zeroizing<String>),
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Secret(text) => serializer.serialize_str(text),
            Self::MarkedPlain(text) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("value", text)?;
                map.serialize_entry("secret", &false)?;
                map.end()
            }
        }
    }
}

/// Fields in the order of the command line.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, Field)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

impl Fields {
    /// Takes the plain fields and reads the secret ones. `custom` fields must be marked as plain.
    pub(crate) fn gather(options: FieldOptions, custom: bool) -> anyhow::Result<Self> {
        let FieldOptions { plain, secret, value_file } = options;
        let mut names: Vec<&String> = plain.iter().map(|(name, _)| name).chain(&secret).collect();
        names.sort();
        anyhow::ensure!(
            names.windows(2).all(|pair| pair.first() != pair.last()),
            "a field is named twice"
        );
        let values = read_values(&secret, &value_file)?;
        let mark = if custom { Field::MarkedPlain } else { Field::Plain };
        let plain = plain.into_iter().map(|(name, value)| (name, mark(value)));
        let secret = secret.into_iter().zip(values.into_iter().map(Field::Secret));
        Ok(Self(plain.chain(secret).collect()))
    }

    /// The most bytes that their JSON can take: each byte as `\u00xx`, and the names.
    fn room(&self) -> usize {
        let field = |(name, field): &(String, Field)| {
            let value = match field {
                Field::Plain(text) | Field::MarkedPlain(text) => text.len(),
                Field::Secret(text) => text.len(),
            };
            (name.len() + value) * 6 + 64
        };
        self.0.iter().map(field).sum()
    }
}

/// Writes a body that holds fields into a buffer that never grows, so that no copy stays behind.
pub(crate) fn to_json<T: Serialize>(
    body: &T,
    fields: &Fields,
    room: usize,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(fields.room() + room));
    serde_json::to_writer(&mut *bytes, body)?;
    Ok(bytes)
}

/// A value for each name.
fn read_values(names: &[String], files: &[PathBuf]) -> anyhow::Result<Vec<Zeroizing<String>>> {
    match (names, files) {
        ([], []) => Ok(Vec::new()),
        ([], _) => {
            anyhow::bail!("--value-file is given, but no secret field to put its value into")
        }
        (names, []) if prompt::is_terminal() => {
            names.iter().map(|name| prompt::hidden(name)).collect()
        }
        (names, []) => lines(&read_input(Path::new("-"))?, names.len()),
        (names, [file]) => lines(&read_input(file)?, names.len()),
        (names, files) if names.len() == files.len() => {
            anyhow::ensure!(
                files.iter().filter(|file| is_stdin(file)).count() < 2,
                "standard input can be read once only"
            );
            files
                .iter()
                .map(|file| Ok(Zeroizing::new(whole(&read_input(file)?).to_owned())))
                .collect()
        }
        _ => anyhow::bail!("give one --value-file, or one for each secret field"),
    }
}

/// The input as one value, or a line for each of several.
fn lines(text: &str, count: usize) -> anyhow::Result<Vec<Zeroizing<String>>> {
    let text = whole(text);
    if count == 1 {
        return Ok(vec![text.to_owned().into()]);
    }
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    anyhow::ensure!(
        lines.len() == count,
        "{count} secret fields need one line each, and there are {} lines; a value of several lines needs a --value-file of its own",
        lines.len()
    );
    Ok(lines.into_iter().map(|line| line.to_owned().into()).collect())
}

/// Without the one line break that editors and `echo` put at the end.
fn whole(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file's text; `-` is standard input.
pub(crate) fn read_input(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let name = || match is_stdin(path) {
        true => "standard input".to_owned(),
        false => format!("the file {}", path.display()),
    };
    let mut source = match is_stdin(path) {
        true => unbuffered(std::io::stdin().as_fd()),
        false => File::open(path),
    }
    .with_context(name)?;
    let bytes = read_all(&mut source).with_context(name)?;
    text(&bytes).with_context(name)
}

/// Standard input's own buffer is never wiped, so it is gone around.
fn unbuffered(descriptor: BorrowedFd<'_>) -> std::io::Result<File> {
    descriptor.try_clone_to_owned().map(File::from)
}

/// One line, without its end; nothing of what follows is taken.
pub(crate) fn read_line(descriptor: BorrowedFd<'_>) -> anyhow::Result<Zeroizing<String>> {
    let mut source = unbuffered(descriptor)?;
    let mut line = Zeroizing::new(Vec::with_capacity(FIRST_BUFFER));
    let mut byte = Zeroizing::new([0_u8; 1]);
    while source.read(&mut *byte)? == 1 {
        let [byte] = *byte;
        if byte == b'\n' {
            break;
        }
        make_room(&mut line, 1)?;
        line.push(byte);
    }
    Ok(Zeroizing::new(whole(&text(&line)?).to_owned()))
}

fn read_all(source: &mut impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FIRST_BUFFER));
    let mut part = Zeroizing::new(vec![0_u8; FIRST_BUFFER]);
    loop {
        let count = match source.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        make_room(&mut bytes, count)?;
        bytes.extend_from_slice(part.get(..count).unwrap_or_default());
    }
}

/// Moves into a larger buffer where needed, and wipes the smaller one: a vector that grows by
/// itself would leave its old memory as it was.
fn make_room(bytes: &mut Zeroizing<Vec<u8>>, more: usize) -> anyhow::Result<()> {
    let needed = bytes.len() + more;
    anyhow::ensure!(
        needed <= MAX_INPUT,
        "it is larger than {MAX_INPUT} bytes, so it is not a value"
    );
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(bytes.capacity() * 2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> anyhow::Result<Zeroizing<String>> {
    let text = std::str::from_utf8(bytes).ok().context("it is not UTF-8 text")?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_becomes_one_value_for_each_field() {
        let check = |text: &str, count: usize, expected: Option<&[&str]>| {
            let found = lines(text, count).ok();
            let found: Option<Vec<&str>> =
                found.as_ref().map(|values| values.iter().map(|value| value.as_str()).collect());
            assert_eq!(found.as_deref(), expected, "{text:?} for {count}");
        };
        check("one", 1, Some(&["one"]));
        check("one\n", 1, Some(&["one"]));
        check("one\r\n", 1, Some(&["one"]));
        check("-----BEGIN\nkey\n-----END\n", 1, Some(&["-----BEGIN\nkey\n-----END"]));
        check("ends with a line\n\n", 1, Some(&["ends with a line\n"]));
        check("", 1, Some(&[""]));
        check("a\r\nb\n", 2, Some(&["a", "b"]));
        check("a\n", 2, None);
        check("a\nb\nc", 2, None);
    }

    #[test]
    fn files_are_matched_to_fields() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (a, b) = (file("a", b"first\n"), file("b", b"second\nand more\n"));
        let check = |names: &[&str], files: &[&PathBuf], expected: Result<&[&str], &str>| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let files: Vec<PathBuf> = files.iter().map(|file| (*file).clone()).collect();
            match (read_values(&names, &files), expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.iter().map(|v| v.as_str()).collect::<Vec<_>>(), expected);
                }
                (Err(error), Err(expected)) => {
                    assert!(format!("{error:#}").contains(expected), "{error:#}");
                }
                (found, expected) => panic!("{}, {expected:?}", found.is_ok()),
            }
        };
        check(&["x"], &[&a], Ok(&["first"]));
        check(&["x", "y"], &[&a, &b], Ok(&["first", "second\nand more"]));
        check(&["x", "y"], &[&b], Ok(&["second", "and more"]));
        check(&["x", "y", "z"], &[&a, &b], Err("one for each"));
        check(&[], &[&a], Err("no secret field"));
        let dash = PathBuf::from("-");
        check(&["x", "y"], &[&dash, &dash], Err("once only"));
        check(&["x"], &[&file("binary", &[0xff, 0xfe])], Err("UTF-8"));
        check(&["x"], &[&file("large", &vec![b'a'; MAX_INPUT + 1])], Err("larger"));
        check(&["x"], &[&directory.path().join("absent")], Err("absent"));
    }

    #[test]
    fn buffers_grow_into_new_ones() {
        let long = "ä".repeat(FIRST_BUFFER);
        let read = read_all(&mut long.as_bytes()).unwrap();
        assert_eq!(text(&read).unwrap().as_str(), long);
    }

    #[test]
    fn fields_are_written_as_the_api_reads_them() {
        let options = |custom| {
            let plain = vec![("user".to_owned(), "bob".to_owned())];
            let fields = FieldOptions { plain, secret: Vec::new(), value_file: Vec::new() };
            let mut fields = Fields::gather(fields, custom).unwrap();
            fields.0.push(("key".into(), Field::Secret("\u{1}\"".repeat(500).into())));
            fields
        };
        let value = |custom| {
            let fields = options(custom);
            let bytes = to_json(&fields, &fields, 16).unwrap();
            assert!(bytes.capacity() <= fields.room() + 16, "the buffer has grown");
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
        };
        assert_eq!(value(false)["user"], "bob");
        assert_eq!(value(true)["user"], serde_json::json!({ "value": "bob", "secret": false }));
        assert_eq!(value(true)["key"], "\u{1}\"".repeat(500));
    }

    #[test]
    fn a_field_is_named_once() {
        let plain = vec![("a".to_owned(), String::new()), ("a".to_owned(), String::new())];
        let options = FieldOptions { plain, secret: Vec::new(), value_file: Vec::new() };
        assert!(Fields::gather(options, true).is_err());
        assert_eq!(name_and_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(name_and_value("a").is_err());
    }
}
