//! The short syntax of ports and volumes, as the command line of `run` takes them.

use resource::{MountSpec, PortSpec, Protocol, VolumeName};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What may stand behind the target of a volume. Labels of SELinux, and what only Docker's desktops do, are passed over.
const OPTIONS: [&str; 14] = [
    "ro",
    "rw",
    "nocopy",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "z",
    "Z",
    "cached",
    "consistent",
    "delegated",
];

/// Reads `[[IP:]HOST:]CONTAINER[/PROTOCOL]`; ranges of equal length give a port each.
pub(crate) fn ports(text: &str) -> Result<Vec<PortSpec>, String> {
    let bad = || format!("`{text}` is not a port such as `8080:80`, `127.0.0.1:53:53/udp` or `9000-9002`");
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol.to_ascii_lowercase()),
        None => (text, "tcp".to_owned()),
    };
    let protocol = match protocol.as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(bad()),
    };
    let (rest, container) = rest.rsplit_once(':').map_or(("", rest), |(rest, container)| (rest, container));
    let (address, host) = rest.rsplit_once(':').map_or(("", rest), |(address, host)| (address, host));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let host_ip = match address {
        "" => None,
        address => Some(address.parse::<IpAddr>().map_err(|_| bad())?),
    };
    let container = range(container).filter(|(first, _)| *first > 0).ok_or_else(bad)?;
    let host = match host {
        "" => None,
        host => Some(range(host).ok_or_else(bad)?),
    };
    let count = container.1 - container.0;
    let published = |offset: u16| match host {
        None | Some((0, 0)) => Some(None),
        Some(range) if count == 0 => Some(Some(range)),
        Some((first, last)) if last - first == count => Some(Some((first + offset, first + offset))),
        Some(_) => None,
    };
    (0..=count)
        .map(|offset| {
            let published = published(offset).ok_or_else(bad)?;
            Ok(PortSpec { host_ip, published, target: container.0 + offset, protocol })
        })
        .collect()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`; `named` turns the key of a volume into its real name. One that the
/// project does not declare has the name that is written, as with Docker: who names it so has the same one.
pub(crate) fn volume(
    text: &str,
    directory: &Path,
    home: Option<&str>,
    named: impl Fn(&str) -> Option<VolumeName>,
) -> Result<MountSpec, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(format!("`{text}` is not a volume such as `data:/var/lib/data:ro`")),
    };
    if !target.starts_with('/') {
        return Err(format!("the target of volume `{text}` is not an absolute path"));
    }
    let words: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
    if let Some(word) = words.iter().find(|word| !OPTIONS.contains(word)) {
        return Err(format!("`{word}` of volume `{text}` is none of its options: {}", OPTIONS.join(", ")));
    }
    // In the form in which what is mounted there already has it.
    let target: String = Path::new(target).components().collect::<PathBuf>().to_string_lossy().into_owned();
    let read_only = words.contains(&"ro");
    match source {
        Some(source) if source.starts_with(['.', '/', '~']) => {
            let source = match (source.strip_prefix('~'), home) {
                (Some(rest), Some(home)) => Path::new(home).join(rest.trim_start_matches('/')),
                _ => directory.join(source.strip_prefix("./").unwrap_or(source)),
            };
            let known = words
                .iter()
                .find(|word| ["private", "shared", "slave"].iter().any(|end| word.ends_with(end)));
            let propagation = crate::mounts::propagation(known.copied());
            Ok(MountSpec::Bind { source, target, read_only, create: true, recursive: true, propagation })
        }
        Some(source) => {
            let name = match named(source) {
                Some(name) => name,
                None if is_name(source) => VolumeName(source.to_owned()),
                None => {
                    let rule = "a letter or digit, then letters, digits, `_`, `.` and `-`";
                    return Err(format!(
                        "`{source}` cannot be the name of a volume: {rule}; a path begins with `./` or `/`"
                    ));
                }
            };
            let no_copy = words.contains(&"nocopy");
            Ok(MountSpec::Volume { source: Some(name), target, read_only, no_copy, subpath: None })
        }
        None => Ok(MountSpec::Volume { source: None, target, read_only, no_copy: false, subpath: None }),
    }
}

/// Whether a volume can be called so.
fn is_name(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::Propagation;

    fn shown(text: &str) -> Vec<String> {
        let show = |port: PortSpec| {
            let host = port.host_ip.map(|ip| format!("{ip} ")).unwrap_or_default();
            format!("{host}{:?}->{}/{}", port.published, port.target, port.protocol.as_str())
        };
        ports(text).map_or_else(|error| vec![error], |ports| ports.into_iter().map(show).collect())
    }

    #[test]
    fn ports_are_read() {
        assert_eq!(shown("80"), ["None->80/tcp"]);
        assert_eq!(shown("8080:80/udp"), ["Some((8080, 8080))->80/udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1 None->80/tcp"]);
        assert_eq!(shown("[::1]:1:2"), ["::1 Some((1, 1))->2/tcp"]);
        assert_eq!(shown("8080-8090:80"), ["Some((8080, 8090))->80/tcp"]);
        assert_eq!(shown("10-11:20-21"), ["Some((10, 10))->20/tcp", "Some((11, 11))->21/tcp"]);
        for bad in ["", "0", "x", "1-3:1-2", "2-1", "80/icmp", "host:1:2"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn volumes_are_read() {
        let read = |text| {
            volume(text, Path::new("/p"), Some("/home/u"), |key| (key == "data").then(|| "p_data".into()))
        };
        assert!(
            matches!(read("./a:/b:ro"), Ok(MountSpec::Bind { source, read_only: true, .. }) if source == Path::new("/p/a"))
        );
        assert!(
            matches!(read("~/a:/b"), Ok(MountSpec::Bind { source, .. }) if source == Path::new("/home/u/a"))
        );
        assert!(
            matches!(read("data:/b"), Ok(MountSpec::Volume { source: Some(name), .. }) if name.0 == "p_data")
        );
        assert!(matches!(read("/b"), Ok(MountSpec::Volume { source: None, .. })));
        let named = |text| match read(text).unwrap() {
            MountSpec::Volume { source, target, no_copy, .. } => (source.unwrap().0, target, no_copy),
            other => panic!("{other:?}"),
        };
        assert_eq!(named("other:/b//c/"), ("other".to_owned(), "/b/c".to_owned(), false));
        assert_eq!(named("data:/b:rw,nocopy"), ("p_data".to_owned(), "/b".to_owned(), true));
        let shared = Propagation::Rshared;
        assert!(
            matches!(read("/a:/b:rshared,z"), Ok(MountSpec::Bind { propagation, read_only: false, .. }) if propagation == shared)
        );
        for bad in ["a/b:/c", "-x:/b", "x:/b:or", "/a:/b:ro,rw,unshared"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("data:b").is_err());
    }
}
