//! Runs the masking vectors: what must be hidden, what must stay, however the text is cut.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test helper that fails is a failed test"
)]

use std::sync::Arc;

use keyward_model::mask::{Masker, Needles};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    format: u32,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    about: String,
    level: String,
    surface: String,
    secrets: Vec<Secret>,
    split: String,
    #[serde(default)]
    bytes: bool,
    chunks: Vec<String>,
    hidden: Vec<String>,
    kept: Vec<String>,
    #[serde(default)]
    unchanged: bool,
}

#[derive(Deserialize)]
struct Secret {
    key: String,
    value: String,
}

impl Vector {
    fn decode(&self, text: &str) -> Vec<u8> {
        if self.bytes {
            data_encoding::BASE64.decode(text.as_bytes()).expect("base64 in the vector")
        } else {
            text.as_bytes().to_vec()
        }
    }

    fn masker(&self) -> Masker {
        let masker = Masker::new();
        for secret in &self.secrets {
            let value = secret.value.as_bytes();
            masker.learn(Arc::new(Needles::build(value)), &placeholder(&secret.key));
        }
        masker
    }

    /// The text cut in every way the vector asks for; at least as given.
    fn cuts(&self) -> Vec<Vec<Vec<u8>>> {
        let given: Vec<Vec<u8>> = self.chunks.iter().map(|chunk| self.decode(chunk)).collect();
        let all = given.concat();
        let mut cuts = vec![given];
        match self.split.as_str() {
            "given" => {}
            "bytes" => cuts.push(all.iter().map(|b| vec![*b]).collect()),
            "every" => {
                cuts.extend((0..=all.len()).map(|i| vec![all[..i].to_vec(), all[i..].to_vec()]));
            }
            other => panic!("{}: unknown split {other}", self.id),
        }
        cuts
    }
}

fn placeholder(key: &str) -> String {
    format!("kws1_{:a<40}", key.to_ascii_lowercase())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn stream(masker: &Masker, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| stream.push(chunk)).collect();
    out.extend(stream.finish());
    out
}

/// What is wrong with a masked text, if anything.
fn check(vector: &Vector, input: &[u8], out: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(out);
    for hidden in &vector.hidden {
        if contains(out, &vector.decode(hidden)) {
            return Err(format!("shows {hidden:?}: {shown}"));
        }
    }
    for kept in &vector.kept {
        if !contains(out, &vector.decode(kept)) {
            return Err(format!("lost {kept:?}: {shown}"));
        }
    }
    if vector.unchanged && out != input {
        return Err(format!("changed: {shown}"));
    }
    Ok(())
}

fn run(vector: &Vector) -> Result<(), String> {
    let masker = vector.masker();
    let cuts = vector.cuts();
    let all = cuts[0].concat();
    let first = stream(&masker, &cuts[0]);
    for cut in &cuts {
        let out = stream(&masker, cut);
        check(vector, &all, &out)?;
        if out != first {
            return Err(format!("depends on the cut: {}", String::from_utf8_lossy(&out)));
        }
    }
    check(vector, &all, &masker.reseal(&all)).map_err(|e| format!("reseal {e}"))?;
    let Ok(text) = std::str::from_utf8(&all) else { return Ok(()) };
    let out = masker.text(text).into_string();
    if out.as_bytes() != first {
        return Err(format!("text differs from stream: {out}"));
    }
    if vector.surface == "output" {
        let value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        check(vector, &all, masker.json(&value).as_str().as_bytes())
            .map_err(|e| format!("json {e}"))?;
    }
    Ok(())
}

#[test]
fn vectors() {
    let file: File = serde_json::from_str(include_str!("masking-vectors.json")).expect("vectors");
    assert_eq!(file.format, 1);
    let mut failures = Vec::new();
    let (mut should, mut met) = (0, 0);
    for vector in &file.vectors {
        let result = run(vector);
        should += usize::from(vector.level == "should");
        met += usize::from(vector.level == "should" && result.is_ok());
        if let Err(error) = result {
            println!("{} {} ({}): {error}", vector.id, vector.about, vector.level);
            if vector.level == "must" {
                failures.push(vector.id.as_str());
            }
        }
    }
    println!("{} vectors; {met} of {should} wishes met", file.vectors.len());
    assert!(failures.is_empty(), "{failures:?}");
}
