//! The address of a syslog server: `udp://host:514`, `unix:///dev/log`, …

use resource::{SyslogAddress, SyslogTls};

/// The port of a server that names none, by TLS too: what Docker takes, not the 6514 of RFC 5425.
const PORT: u16 = 514;

/// Reads an address.
///
/// # Errors
/// Why it is none, or cannot be had.
pub(super) fn parse(text: &str) -> Result<SyslogAddress, String> {
    if text.is_empty() {
        return Ok(SyslogAddress::Local);
    }
    let forms = "use `udp://`, `tcp://` or `tcp+tls://HOST[:PORT]`, or `unix:///PATH`";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("`{text}` is no address: {forms}"))?;
    match scheme {
        "unix" | "unixgram" if rest.starts_with('/') => Ok(SyslogAddress::Unix(rest.into())),
        "unix" | "unixgram" => Err(format!("`{rest}` is no absolute path")),
        "udp" | "tcp" | "tcp+tls" => {
            let bad = || format!("`{rest}` is no host and port");
            let (host, port) = place(rest).ok_or_else(bad)?;
            Ok(match scheme {
                "udp" => SyslogAddress::Udp(host, port),
                "tcp" => SyslogAddress::Tcp(host, port),
                _ => SyslogAddress::Tls(host, port, SyslogTls::default()),
            })
        }
        _ => Err(format!("`{scheme}` is no way to send lines: {forms}")),
    }
}

/// Host and port of `host`, `host:port`, `[address]`, `[address]:port`.
fn place(text: &str) -> Option<(String, u16)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
    (!host.is_empty() && !host.contains(['/', ' '])).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_kind_are_read() {
        let read = |text: &str| parse(text).unwrap();
        assert_eq!(read(""), SyslogAddress::Local);
        assert_eq!(read("unix:///dev/log"), SyslogAddress::Unix("/dev/log".into()));
        assert_eq!(read("unixgram:///dev/log"), SyslogAddress::Unix("/dev/log".into()));
        assert_eq!(read("udp://logs.example.com"), SyslogAddress::Udp("logs.example.com".into(), 514));
        assert_eq!(read("tcp://10.0.0.1:601"), SyslogAddress::Tcp("10.0.0.1".into(), 601));
        assert_eq!(read("tcp://[::1]:601"), SyslogAddress::Tcp("::1".into(), 601));
        assert_eq!(read("udp://[::1]"), SyslogAddress::Udp("::1".into(), 514));
        let secure = |port| SyslogAddress::Tls("logs.example.com".into(), port, SyslogTls::default());
        assert_eq!(read("tcp+tls://logs.example.com:6514"), secure(6514));
        assert_eq!(read("tcp+tls://logs.example.com"), secure(514));
        for wrong in ["logs", "unix://log", "udp://", "udp://host:port", "tcp+tls://", "ftp://host"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
