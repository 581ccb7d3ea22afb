//! A backup file opens as it was written and with its own key, or not at all.

use super::*;

/// Small chunks, so that a file of a few hundred bytes has many.
const SMALL: usize = 32;

fn root(byte: u8) -> RootKey {
    RootKey(Key::new([byte; 32]))
}

fn seal(root: &RootKey, content: &[u8], size: usize) -> Vec<u8> {
    let mut sealer = Sealer::new(root, Vec::new(), size).unwrap();
    sealer.write_all(content).unwrap();
    sealer.finish().unwrap()
}

fn open(root: &RootKey, file: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let mut opener = Opener::new(root, file, size).map_err(|error| error.to_string())?;
    opener.read_to_end(&mut content).map_err(|error| error.to_string())?;
    Ok(content)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7) as u8).collect()
}

#[test]
fn what_was_written_is_read() {
    for length in [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 3 * SMALL + 5] {
        let (root, content) = (root(1), content(length));
        let file = seal(&root, &content, SMALL);
        let chunks = length.div_ceil(SMALL).max(1);
        assert_eq!(file.len(), HEADER + length + chunks * TAG, "{length}");
        assert_eq!(open(&root, &file, SMALL).unwrap(), content, "{length}");
    }
}

#[test]
fn a_whole_file_is_compressed_and_read_back() {
    let root = root(1);
    let mut content = b"the same line over and over\n".repeat(20_000);
    content.extend((0..300).flat_map(|_| random::<1000>().unwrap()));
    let mut writer = BackupWriter::new(&root, Vec::new()).unwrap();
    content.chunks(1000).for_each(|part| writer.write_all(part).unwrap());
    let file = writer.finish().unwrap();
    assert!(file.len() > 3 * CHUNK && file.len() < content.len() - 400_000, "{}", file.len());
    check(&root, file.as_slice()).unwrap();
    let mut read = Vec::new();
    BackupReader::new(&root, file.as_slice()).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == content);
    assert!(matches!(
        check(&root, file.get(..file.len() / 2).unwrap()),
        Err(BackupFileError::Damaged)
    ));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let root = root(1);
    let file = seal(&root, &content(3 * SMALL + 5), SMALL);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            let opened = open(&root, &altered, SMALL);
            assert!(opened.is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_cut_or_longer_file_is_noticed() {
    let root = root(1);
    for length in [0, SMALL, 3 * SMALL, 3 * SMALL + 5] {
        let file = seal(&root, &content(length), SMALL);
        for end in 0..file.len() {
            assert!(open(&root, &file[..end], SMALL).is_err(), "{length} cut to {end}");
        }
        for more in [1, TAG, SMALL, SMALL + TAG] {
            let longer = [file.as_slice(), &vec![0; more]].concat();
            assert!(open(&root, &longer, SMALL).is_err(), "{length} and {more} more");
        }
        let twice = [file.as_slice(), &file[HEADER..]].concat();
        assert!(open(&root, &twice, SMALL).is_err(), "{length} twice");
    }
}

#[test]
fn chunks_stay_in_their_place_and_file() {
    let root = root(1);
    let (one, other) =
        (seal(&root, &content(4 * SMALL), SMALL), seal(&root, &content(4 * SMALL), SMALL));
    let chunk = |file: &[u8], n: usize| {
        file[HEADER + n * (SMALL + TAG)..HEADER + (n + 1) * (SMALL + TAG)].to_vec()
    };
    let header = |file: &[u8]| file[..HEADER].to_vec();
    let build = |header: Vec<u8>, order: &[(&[u8], usize)]| {
        order.iter().fold(header, |mut file, (from, n)| {
            file.extend(chunk(from, *n));
            file
        })
    };
    let (a, b) = (one.as_slice(), other.as_slice());
    let check = |what: &str, file: Vec<u8>, opens: bool| {
        assert_eq!(open(&root, &file, SMALL).is_ok(), opens, "{what}");
    };
    check("as it was", build(header(a), &[(a, 0), (a, 1), (a, 2), (a, 3)]), true);
    check("two swapped", build(header(a), &[(a, 1), (a, 0), (a, 2), (a, 3)]), false);
    check("the last swapped", build(header(a), &[(a, 0), (a, 1), (a, 3), (a, 2)]), false);
    check("one missing", build(header(a), &[(a, 0), (a, 2), (a, 3)]), false);
    check("the last missing", build(header(a), &[(a, 0), (a, 1), (a, 2)]), false);
    check("one twice", build(header(a), &[(a, 0), (a, 0), (a, 1), (a, 2), (a, 3)]), false);
    check("one of another file", build(header(a), &[(a, 0), (b, 1), (a, 2), (a, 3)]), false);
    check("another header", build(header(b), &[(a, 0), (a, 1), (a, 2), (a, 3)]), false);
}

#[test]
fn another_key_is_named() {
    let file = seal(&root(1), b"content", SMALL);
    let (mine, other) = (root(1).fingerprint(), root(2).fingerprint());
    assert_eq!(sealed_by(&mut file.as_slice()).unwrap(), mine);
    let refused = open(&root(2), &file, SMALL).unwrap_err();
    assert!(refused.contains(&mine) && refused.contains(&other), "{refused}");
    // Whoever writes the other fingerprint into the header gains nothing.
    let start = MAGIC.len() + 1;
    let mut renamed = file;
    renamed[start..start + FINGERPRINT].copy_from_slice(other.as_bytes());
    assert!(open(&root(2), &renamed, SMALL).unwrap_err().contains("damaged"));
}

#[test]
fn other_files_are_told_apart() {
    let says = |file: &[u8]| sealed_by(&mut { file }).unwrap_err().to_string();
    assert!(says(b"SQLite format 3\0").contains("not a keyward backup"));
    assert!(says(b"").contains("not a keyward backup"));
    let mut newer = seal(&root(1), b"", SMALL);
    newer[MAGIC.len()] = 2;
    assert!(says(&newer).contains("format 2"));
    let cut = seal(&root(1), b"", SMALL);
    assert!(says(&cut[..MAGIC.len() + 5]).contains("damaged"));
}
