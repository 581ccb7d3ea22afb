//! `cargo xtask tidy`: the house rules that the compiler does not know. Each rule is a file below
//! `tidy/` and says in its message what to do instead. Runs as a test of this crate, too.

mod codes;
mod headers;
mod imports;
mod lengths;
mod paths;
mod source;
mod tree;
mod words;

use std::process::ExitCode;

use anyhow::Result;

use self::tree::{Fault, Tree};
use crate::workspace;

/// Checks the checkout and prints every fault.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let faults = faults()?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() {
        println!("tidy: all rules hold");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("\ntidy: {} to mend", faults.len());
    Ok(ExitCode::FAILURE)
}

fn faults() -> Result<Vec<Fault>> {
    let tree = Tree::read(workspace::root())?;
    let packages = imports::packages(&workspace::metadata(&["--no-deps", "--locked"])?);
    let mut faults = imports::check_manifests(&packages);
    faults.extend(imports::check_sources(&tree));
    faults.extend(lengths::check(&tree));
    faults.extend(headers::check(&tree));
    faults.extend(paths::check(&tree));
    faults.extend(words::check(&tree));
    faults.extend(codes::check(&tree));
    Ok(faults)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checkout_is_tidy() {
        let faults = super::faults().expect("the rules can be checked");
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    }
}
