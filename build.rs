//! The scenarios are in the program: a file that is added, changed or taken away builds it anew.

fn main() {
    println!("cargo:rerun-if-changed=scenarios");
}
