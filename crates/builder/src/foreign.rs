//! Platforms other than this machine's: whether its kernel executes their programs.

use crate::error::{BuildError, at};
use crate::graph::{Graph, Node, Origin};
use diagnostic::{Diagnostic, Span};
use dockerfile::{InstructionKind, expand};
use resource::Platform;

/// Refuses builds that would execute what this machine cannot, before anything is done for them.
pub(crate) fn check(graph: &Graph) -> Result<(), BuildError> {
    for node in &graph.nodes {
        let target = &graph.targets[node.target];
        let stage = &target.file.stages[node.stage];
        let runs = |kind: &InstructionKind| matches!(kind, InstructionKind::Run(_));
        let Some(run) = stage.instructions.iter().find(|instruction| runs(&instruction.kind)) else {
            continue;
        };
        let platform = platform_of(graph, *node)?;
        check_one(&platform, run.span).map_err(|diagnostic| target.drawn(diagnostic))?;
    }
    Ok(())
}

/// Refuses a step for a platform whose programs are not executed here.
pub(crate) fn check_one(platform: &Platform, span: Span) -> Result<(), Diagnostic> {
    let host = Platform::host();
    if is_native(&platform.architecture, &host.architecture) || has_emulator(&platform.architecture) {
        return Ok(());
    }
    let message = format!("programs for {platform} cannot be executed on this machine, {host}");
    let help = "install an emulator such as qemu-user-static, registered with binfmt_misc and its flag `F`";
    Err(at(span, "foreign-platform", message).help(help))
}

/// What a stage is for, as far as its Dockerfile says.
fn platform_of(graph: &Graph, node: Node) -> Result<Platform, BuildError> {
    let target = &graph.targets[node.target];
    if let Some(word) = &target.file.stages[node.stage].platform {
        let text = expand(word, &target.global).map_err(|diagnostic| target.drawn(diagnostic))?;
        // What is no platform is said when the stage begins.
        return Ok(Platform::parse(&text).unwrap_or_else(Platform::host));
    }
    match graph.base(node)? {
        Origin::Stage(base) => platform_of(graph, base),
        Origin::Scratch | Origin::Image(_) | Origin::Layout(_) | Origin::Folder(_) => {
            Ok(target.platform.clone())
        }
    }
}

fn is_native(architecture: &str, host: &str) -> bool {
    architecture == host || (architecture, host) == ("386", "amd64")
}

/// Whether the kernel hands programs of this architecture to an emulator that it has open itself, so that it
/// need not be in the image.
fn has_emulator(architecture: &str) -> bool {
    let handlers = std::fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    let mut read = handlers.filter_map(|handler| std::fs::read_to_string(handler.path()).ok());
    let Some(start) = Start::of(architecture) else { return false };
    read.any(|handler| start.is_taken_by(&handler))
}

/// The first bytes of a program, elf(5).
struct Start([u8; 20]);

impl Start {
    /// Those of a program for an architecture in Go's spelling; `None` where its number is not known here.
    fn of(architecture: &str) -> Option<Self> {
        // EM_* of elf.h, bits, and whether the lowest byte is first.
        let (machine, is_wide, is_little): (u16, bool, bool) = match architecture {
            "386" => (3, false, true),
            "amd64" => (62, true, true),
            "arm" => (40, false, true),
            "arm64" => (183, true, true),
            "loong64" => (258, true, true),
            "mips64" => (8, true, false),
            "mips64le" => (8, true, true),
            "ppc64" => (21, true, false),
            "ppc64le" => (21, true, true),
            "riscv64" => (243, true, true),
            "s390x" => (22, true, false),
            _ => return None,
        };
        // ET_EXEC: handlers mask the bit that tells it from ET_DYN.
        let number = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[4..7].copy_from_slice(&[1 + u8::from(is_wide), 2 - u8::from(is_little), 1]);
        bytes[16..18].copy_from_slice(&number(2));
        bytes[18..].copy_from_slice(&number(machine));
        Some(Self(bytes))
    }

    /// Whether a handler, as binfmt_misc shows it, takes such programs: it is enabled, its interpreter is open
    /// (flag `F`), and magic and mask fit.
    fn is_taken_by(&self, handler: &str) -> bool {
        let field = |name: &str| handler.lines().find_map(|line| line.strip_prefix(name)?.split(' ').nth(1));
        let bytes = |text: &str| -> Option<Vec<u8>> {
            let digits = text.as_bytes().chunks(2);
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
        };
        let is_open = handler.lines().any(|line| line.starts_with("flags: ") && line.contains('F'));
        let Some(magic) = field("magic").and_then(bytes) else { return false };
        let mask = field("mask").and_then(bytes).unwrap_or_else(|| vec![0xff; magic.len()]);
        let begins = magic.len() > 18 && magic.len() <= self.0.len() && field("offset") == Some("0");
        let mut compared = magic.iter().zip(&mask).zip(self.0);
        handler.starts_with("enabled")
            && is_open
            && begins
            && compared.all(|((magic, mask), byte)| magic & mask == byte & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// qemu's handler as Debian's package registers it.
    const ARM64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn a_handler_takes_the_programs_of_its_architecture() {
        let taken = |architecture: &str, handler: &str| Start::of(architecture).unwrap().is_taken_by(handler);
        assert!(taken("arm64", ARM64));
        assert!(!taken("arm", ARM64) && !taken("riscv64", ARM64) && !taken("s390x", ARM64));
        assert!(!taken("arm64", &ARM64.replace("enabled", "disabled")));
        assert!(!taken("arm64", &ARM64.replace("OCF", "OC")), "the image has no emulator");
        assert!(!taken("arm64", "enabled\ninterpreter /usr/bin/jexec\nflags: \noffset 0\nmagic 504b0304\n"));
        assert!(Start::of("made-up").is_none());
    }
}
