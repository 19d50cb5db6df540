//! The least that reading a Compose file takes: its bytes, and the YAML crate's events of them. Prints how
//! many there were.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

fn main() {
    let text = std::fs::read_to_string(std::env::args_os().nth(1).unwrap()).unwrap();
    println!("{}", saphyr_parser::Parser::new_from_str(&text).map(Result::unwrap).count());
}
