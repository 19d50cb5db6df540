//! Host ports of a copy. Each that the file gives a number moves into a block of eight between 20000 and
//! 32767, below the ports that Linux hands out itself: the block follows from project, service and number,
//! and the first free port of it is taken.

use std::collections::BTreeMap;

use diagnostic::{Diagnostic, Span};

use super::hash;
use crate::model::MovedPort;
use crate::tree::{Map, Node, Value};

const FIRST: u16 = 20000;
const BLOCK: usize = 8;
/// Blocks up to port 32767.
const BLOCKS: usize = (32768 - FIRST as usize) / BLOCK;

/// Moves the published ports of all services that have a number.
pub(super) fn set_apart(
    services: &mut Map,
    project: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<MovedPort> {
    let mut taken = [false; BLOCKS];
    let mut moved = Vec::new();
    for (service, entry) in services {
        let Some(Value::List(items)) = entry.node.get_mut("ports").map(|ports| &mut ports.value) else {
            continue;
        };
        // One number for TCP, UDP and several addresses of the host stays one number.
        let mut here: BTreeMap<(u16, u16), (u16, u16)> = BTreeMap::new();
        for item in items {
            let Some(written) = item.str("published").and_then(range) else { continue };
            let (first, last) = if let Some(place) = here.get(&written) {
                *place
            } else {
                let Some(place) = place(&mut taken, project, service, written) else {
                    diagnostics.push(no_room(item.span));
                    return moved;
                };
                here.insert(written, place);
                moved.push(MovedPort { service: service.clone(), written, moved: place });
                place
            };
            if let Some(published) = item.get_mut("published") {
                *published = Node::string(format!("{first}-{last}"), published.span);
            }
        }
    }
    moved
}

/// Finds and takes blocks for as many ports, the first free from where the hash points to.
fn place(
    taken: &mut [bool; BLOCKS],
    project: &str,
    service: &str,
    (first, last): (u16, u16),
) -> Option<(u16, u16)> {
    let count = usize::from(last - first) + 1;
    let blocks = count.div_ceil(BLOCK);
    let start = usize::try_from(hash(&[project, service, &first.to_string()]) % BLOCKS as u64).ok()?;
    let free = |at: &usize| at + blocks <= BLOCKS && taken[*at..at + blocks].iter().all(|taken| !taken);
    let at = (0..BLOCKS).map(|step| (start + step) % BLOCKS).find(free)?;
    taken[at..at + blocks].fill(true);
    let port = |block: usize| u16::try_from(usize::from(FIRST) + block * BLOCK).ok();
    Some((port(at)?, port(at + blocks)? - 1))
}

/// `8080` or `8000-8010`; port 0 is any and has none.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 > 0 && range.0 <= range.1).then_some(range)
}

fn no_room(span: Span) -> Diagnostic {
    let message = "a copy of the project cannot have all of its ports: 20000 to 32767 are not enough";
    Diagnostic::error("not-copied", message)
        .at(span, "there is no room left for this one")
        .help("publish without a number (`- \"80\"`): the engine chooses a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_where_the_hash_says_and_never_overlap() {
        let mut taken = [false; BLOCKS];
        let first = place(&mut taken, "shop-b", "web", (8080, 8080)).unwrap();
        assert_eq!(first.1 - first.0, 7);
        assert_eq!(place(&mut [false; BLOCKS], "shop-b", "web", (8080, 8080)), Some(first));
        // The same place again: the next block.
        let second = place(&mut taken, "shop-b", "web", (8080, 8080)).unwrap();
        assert_ne!(first, second);
        let (from, to) = place(&mut taken, "shop-b", "web", (8000, 8019)).unwrap();
        assert_eq!(to - from, 23);
        assert!(from >= 20000 && to <= 32767);
    }

    #[test]
    fn all_blocks_can_be_had_and_no_more() {
        let mut taken = [false; BLOCKS];
        for _ in 0..BLOCKS {
            place(&mut taken, "p", "s", (1, 1)).unwrap();
        }
        assert_eq!(place(&mut taken, "p", "s", (1, 1)), None);
    }

    #[test]
    fn port_zero_is_any() {
        assert_eq!(range("0"), None);
        assert_eq!(range("8000-8010"), Some((8000, 8010)));
        assert_eq!(range("${PORT}"), None);
    }
}
