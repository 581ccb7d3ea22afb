//! expect: E0308 mismatched types
use keyward_model::run::NewStep;
fn main() {}
fn wrong(step: &mut NewStep, output: String) {
    step.output = Some(output);
}
