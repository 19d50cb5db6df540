//! The bare kernel work for some containers.
fn main() {}
