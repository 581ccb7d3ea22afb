//! `cargo xtask bench`: how fast a webhook with one code step is answered, how soon the server is
//! ready, and how much memory it holds. One run on one machine; the load comes over loopback.
//! `cargo xtask bench finding` measures lists of credentials instead, `resolution` the keys that a
//! step declares, `rewrap` replacing a key.

mod finding;
mod http;
mod load;
mod memory;
mod page;
mod resolution;
mod rewrap;
mod server;
mod subject;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::load::Sample;
use self::memory::Memory;
use self::server::Server;
use self::subject::Subject;
use crate::workspace;

const CONNECTIONS: &[usize] = &[1, 16];
const STARTS: usize = 5;
const SETTLING: Duration = Duration::from_secs(3);
/// A measurement ends with its time or with this many answers, whichever is first.
const MOST_REQUESTS: usize = 100_000;

/// What was measured of one subject.
struct Figures {
    name: &'static str,
    samples: Vec<Sample>,
    ready: Duration,
    idle: Memory,
    after_load: Memory,
}

/// Measures every subject, prints the table, and writes it where `--write` is given.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let area: Option<fn(&Path) -> Result<()>> = match arguments {
        [area] if area == "finding" => Some(finding::run),
        [area] if area == "resolution" => Some(resolution::run),
        [area] if area == "rewrap" => Some(rewrap::run),
        _ => None,
    };
    if let Some(area) = area {
        let folder = fresh_folder(arguments.first().map_or("", String::as_str))?;
        area(&folder)?;
        std::fs::remove_dir_all(folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    let folder = fresh_folder("load")?;
    let keyward = workspace::build_keyward(true)?;
    let floor = workspace::build_example("floor")?;
    let subjects =
        [subject::floor(floor, folder.clone()), subject::keyward(keyward, folder.clone())];
    let mut all = Vec::new();
    for subject in &subjects {
        all.push(
            measure(subject, &options).with_context(|| format!("measuring {}", subject.name))?,
        );
    }
    std::fs::remove_dir_all(&folder)?;
    let table = page::table(&all);
    print!("{table}");
    if options.write {
        println!("written to {}", page::write(&table)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// In Cargo's folder rather than in /tmp, which may lie in memory where nothing waits for a disk.
/// One for each area, so that two can be measured side by side.
fn fresh_folder(area: &str) -> Result<PathBuf> {
    let folder = workspace::target_dir()?.join("bench").join(area);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn measure(subject: &Subject, options: &Options) -> Result<Figures> {
    println!("{}: setting up", subject.name);
    (subject.prepare)(subject)?;
    let server = Server::start(subject)?;
    let target = (subject.target)(subject, &server)?;
    let mut samples = Vec::new();
    for connections in CONNECTIONS {
        println!("{}: {connections} connection(s), {:?}", subject.name, options.duration);
        let warm_up = options.duration / 5;
        load::run(&target, *connections, warm_up, MOST_REQUESTS)?;
        samples.push(load::run(&target, *connections, options.duration, MOST_REQUESTS)?);
    }
    let after_load = memory::of_tree(server.pid())?;
    server.stop()?;
    println!("{}: {STARTS} starts", subject.name);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let server = Server::start(subject)?;
        times.push(server.ready_after());
        server.stop()?;
    }
    times.sort();
    let ready = times.get(STARTS / 2).copied().unwrap_or_default();
    let server = Server::start(subject)?;
    std::thread::sleep(SETTLING);
    let idle = memory::of_tree(server.pid())?;
    server.stop()?;
    Ok(Figures { name: subject.name, samples, ready, idle, after_load })
}

struct Options {
    duration: Duration,
    write: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { duration: Duration::from_secs(10), write: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--write" => options.write = true,
                "--seconds" => {
                    let seconds = arguments.next().and_then(|number| number.parse().ok());
                    options.duration =
                        Duration::from_secs(seconds.context("--seconds takes a number")?);
                }
                other => bail!(
                    "there is no option `{other}`; there are --seconds N and --write, or `finding`, `resolution` or `rewrap` alone"
                ),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_read_or_refused() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Options::parse(&words).map(|options| (options.duration.as_secs(), options.write)).ok()
        };
        assert_eq!(parse(&[]), Some((10, false)));
        assert_eq!(parse(&["--write", "--seconds", "3"]), Some((3, true)));
        assert_eq!([parse(&["--seconds"]), parse(&["--seconds", "x"]), parse(&["-w"])], [None; 3]);
    }
}
