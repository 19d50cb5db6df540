//! Programs of other architectures: whether this machine's kernel hands them to an emulator (binfmt_misc).

use resource::Platform;
use std::path::Path;

/// Where the kernel shows its handlers, a file each, and with `status` whether it uses them.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// What to do so that programs for a platform are executed here; `None` where they are.
pub fn lacking(platform: &Platform) -> Option<String> {
    let (architecture, host) = (platform.architecture.as_str(), Platform::host().architecture);
    if architecture == host || (architecture, host.as_str()) == ("386", "amd64") {
        return None;
    }
    let start = Start::of(architecture);
    let handlers = std::fs::read_dir(HANDLERS).into_iter().flatten().flatten();
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let taking: Vec<Handler> = handlers
        .filter_map(|entry| {
            let text = read(&entry.path())?;
            let offer = start.as_ref()?.offer_of(&text)?;
            Some(Handler { name: entry.file_name().to_string_lossy().into_owned(), offer })
        })
        .collect();
    let is_off = read(&Path::new(HANDLERS).join("status")).is_some_and(|status| status.trim() == "disabled");
    advice(&taking, is_off)
}

/// A handler that takes programs of the architecture in question.
struct Handler {
    name: String,
    offer: Offer,
}

/// What a handler is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// The kernel has the emulator open itself, so that it need not be in the image.
    Open,
    /// The emulator is looked for where the program is: without flag `F`.
    Elsewhere,
    /// It is switched off.
    Disabled,
}

/// What to do about these handlers, of which the kernel uses none when `is_off`; `None` when one will do.
fn advice(handlers: &[Handler], is_off: bool) -> Option<String> {
    let with = |offer: Offer| handlers.iter().find(|handler| handler.offer == offer);
    if let Some(handler) = with(Offer::Open) {
        let name = &handler.name;
        return is_off.then(|| {
            format!(
                "`{name}` would, but all handlers are switched off: `echo 1 > {HANDLERS}/status`, as root"
            )
        });
    }
    if let Some(Handler { name, .. }) = with(Offer::Disabled) {
        return Some(format!("`{name}` would, but is switched off: `echo 1 > {HANDLERS}/{name}`, as root"));
    }
    if let Some(Handler { name, .. }) = with(Offer::Elsewhere) {
        return Some(format!(
            "`{name}` is registered with binfmt_misc without its flag `F`, by which the kernel finds the emulator \
             outside the image: register it with the flag"
        ));
    }
    let help = "install an emulator such as qemu-user-static, registered with binfmt_misc and its flag `F`";
    Some(help.to_owned())
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

    /// What a handler, as binfmt_misc shows it, has for such programs; `None` when magic and mask do not fit.
    fn offer_of(&self, handler: &str) -> Option<Offer> {
        let field = |name: &str| handler.lines().find_map(|line| line.strip_prefix(name)?.split(' ').nth(1));
        let bytes = |text: &str| -> Option<Vec<u8>> {
            let digits = text.as_bytes().chunks(2);
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
        };
        let magic = field("magic").and_then(bytes)?;
        let mask = field("mask").and_then(bytes).unwrap_or_else(|| vec![0xff; magic.len()]);
        // Shorter ones do not come to what tells architectures apart.
        let tells = magic.len() > 18 && magic.len() <= self.0.len() && field("offset") == Some("0");
        let mut compared = magic.iter().zip(&mask).zip(self.0);
        if !tells || !compared.all(|((magic, mask), byte)| magic & mask == byte & mask) {
            return None;
        }
        let is_open = handler.lines().any(|line| line.starts_with("flags: ") && line.contains('F'));
        Some(match (handler.starts_with("enabled"), is_open) {
            (true, true) => Offer::Open,
            (true, false) => Offer::Elsewhere,
            (false, _) => Offer::Disabled,
        })
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
        let offer = |architecture: &str, handler: &str| Start::of(architecture).unwrap().offer_of(handler);
        assert_eq!(offer("arm64", ARM64), Some(Offer::Open));
        for other in ["arm", "riscv64", "s390x"] {
            assert_eq!(offer(other, ARM64), None);
        }
        assert_eq!(offer("arm64", &ARM64.replace("enabled", "disabled")), Some(Offer::Disabled));
        assert_eq!(offer("arm64", &ARM64.replace("OCF", "OC")), Some(Offer::Elsewhere));
        assert_eq!(
            offer("arm64", "enabled\ninterpreter /usr/bin/jexec\nflags: \noffset 0\nmagic 504b0304\n"),
            None
        );
        assert!(Start::of("made-up").is_none());
    }

    #[test]
    fn what_is_lacking_is_said() {
        let said = |offers: &[Offer], is_off: bool| {
            let handler = |offer: &Offer| Handler { name: "qemu".to_owned(), offer: *offer };
            advice(&offers.iter().map(handler).collect::<Vec<_>>(), is_off)
        };
        assert_eq!(said(&[Offer::Elsewhere, Offer::Open], false), None);
        assert!(said(&[Offer::Open], true).unwrap().contains("binfmt_misc/status"));
        assert!(said(&[Offer::Elsewhere, Offer::Disabled], false).unwrap().contains("binfmt_misc/qemu"));
        assert!(said(&[Offer::Elsewhere], false).unwrap().contains("without its flag `F`"));
        assert!(said(&[], false).unwrap().contains("qemu-user-static"));
    }
}
