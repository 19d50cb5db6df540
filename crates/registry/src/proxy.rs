//! Proxies, as `https_proxy`, `http_proxy` and `no_proxy` name them, in either case.

use crate::conf::is_loopback;
use crate::http::Origin;
use base64::Engine as _;
use hyper::Uri;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes that a proxy's answer to CONNECT may have.
const ANSWER_LIMIT: usize = 16 * 1024;

/// A proxy, spoken to in plain HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Value of `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
}

/// The proxy to take, if any.
pub(crate) fn of_environment(origin: &Origin) -> Option<Proxy> {
    let variable = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_uppercase())).ok();
        value.filter(|value| !value.is_empty())
    };
    let proxy = variable(if origin.secure { "https_proxy" } else { "http_proxy" })?;
    choose(&proxy, &variable("no_proxy").unwrap_or_default(), origin)
}

fn choose(proxy: &str, exceptions: &str, origin: &Origin) -> Option<Proxy> {
    let excepted = exceptions.split(',').map(str::trim).filter(|name| !name.is_empty()).any(|name| {
        let name = name.trim_start_matches('*').trim_start_matches('.');
        let host = origin.host.as_str();
        name.is_empty()
            || name == origin.address()
            || host == name
            || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    });
    if excepted || is_loopback(&origin.host) {
        return None;
    }
    let whole = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let uri: Uri = whole.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("http"))?;
    let authorization = uri
        .authority()?
        .as_str()
        .rsplit_once('@')
        .map(|(user, _)| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)));
    Some(Proxy { host: uri.host()?.to_owned(), port: uri.port_u16().unwrap_or(80), authorization })
}

/// Asks the proxy for a tunnel to an address.
pub(crate) async fn tunnel(stream: &mut TcpStream, proxy: &Proxy, address: &str) -> io::Result<()> {
    let authorization = proxy
        .authorization
        .as_ref()
        .map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    let request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > ANSWER_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Byte by byte: what follows belongs to the tunnel.
        answer.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&answer);
    let status = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    if status.starts_with('2') {
        Ok(())
    } else {
        Err(io::Error::other(format!("the proxy {}:{} answers {status}", proxy.host, proxy.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(proxy: &str, exceptions: &str, host: &str) -> Option<String> {
        let origin = Origin::named(host, true, false).unwrap();
        choose(proxy, exceptions, &origin).map(|proxy| format!("{}:{}", proxy.host, proxy.port))
    }

    #[test]
    fn exceptions_are_hosts_and_domains_and_this_machine() {
        assert_eq!(chosen("p.test:3128", "", "quay.io").unwrap(), "p.test:3128");
        assert_eq!(chosen("http://u:p@p.test", "", "quay.io").unwrap(), "p.test:80");
        assert_eq!(chosen("p.test", "a.test, .quay.io", "cdn.quay.io"), None);
        assert_eq!(chosen("p.test", "quay.io", "notquay.io").unwrap(), "p.test:80");
        assert_eq!(chosen("p.test", "*", "quay.io"), None);
        assert_eq!(chosen("p.test", "", "127.0.0.1:5000"), None);
        assert_eq!(chosen("socks5://p.test", "", "quay.io"), None);
    }
}
