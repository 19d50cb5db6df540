//! How a log server by TLS is spoken to: what its options name, read.

use super::session::Session;
use super::socket::Way;
use resource::log::{AUTHORITIES, CERTIFICATE, KEY};
use resource::{LogServer, Part, SyslogAddress, SyslogTls, SyslogTrust};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tls::{Identity, Trust};

/// A file that cannot be used, and the option that names it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Unusable {
    pub(super) text: String,
    pub(super) part: Part,
}

/// Reads what the options name. Takes some milliseconds, and is asked for only where there is TLS.
pub(super) fn config(options: &SyslogTls) -> Result<Arc<ClientConfig>, Unusable> {
    let unusable = |error: tls::Unusable, option: &str| {
        let text = format!("log option `{option}`: {error}");
        Unusable { text, part: Part::LogOption(option.to_owned()) }
    };
    let trust = match &options.trust {
        SyslogTrust::Anybody => Trust::Anybody,
        SyslogTrust::Machine => Trust::Authorities(vec![]),
        SyslogTrust::Besides(path) => {
            let given = tls::authorities(path).map_err(|error| unusable(error, AUTHORITIES))?;
            Trust::Authorities(given)
        }
    };
    let identity = options.identity.as_ref().map(|own| {
        let option = |file: &Path| if file == own.certificate { CERTIFICATE } else { KEY };
        let read = Identity::read(&own.certificate, &own.key);
        read.map_err(|error| {
            let option = option(&error.path);
            unusable(error, option)
        })
    });
    let mut config = tls::client(trust, identity.transpose()?);
    // A connection stays as long as there is a server; what would be remembered for others is never used.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What a server's certificate has to be for.
pub(super) fn name(host: &str) -> io::Result<ServerName<'static>> {
    let why = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate can be for `{host}`"));
    ServerName::try_from(host.to_owned()).map_err(why)
}

/// A way as its server wants it: by TLS, with a configuration that is read where there is none.
pub(super) fn secured(
    way: Way,
    server: &LogServer,
    known: &mut Option<Arc<ClientConfig>>,
) -> io::Result<Way> {
    let LogServer::Syslog(syslog) = server else { return Ok(way) };
    let SyslogAddress::Tls(host, _, options) = &syslog.address else { return Ok(way) };
    let made = match known {
        Some(made) => made.clone(),
        None => known.insert(config(options).map_err(io::Error::other)?).clone(),
    };
    Ok(way.secured(Session::begin(made, name(host)?)?))
}
