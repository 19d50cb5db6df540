//! What a syslog server by TLS is believed by, and what is shown to it.

use crate::lowering::Lowering;
use compose_spec::Service;
use resource::log::{AUTHORITIES, CERTIFICATE, KEY};
use resource::{LogConfig, LogIdentity, LogServer, Syslog, SyslogAddress, SyslogTrust};
use std::collections::BTreeMap;

/// The option by which any server is believed.
pub(super) const SKIP_VERIFY: &str = "syslog-tls-skip-verify";

impl Lowering<'_> {
    /// Takes the options of TLS, once it is known where the server is. An empty one counts as none; paths are
    /// seen from the project's folder.
    pub(super) fn secure(
        &mut self,
        service: &Service,
        options: &BTreeMap<String, String>,
        log: &mut LogConfig,
    ) {
        let Some(LogServer::Syslog(Syslog { address, .. })) = &mut log.server else { return };
        let given = |name: &str| options.get(name).filter(|value| !value.is_empty());
        let file = |name: &str| given(name).map(|path| self.project.directory.join(path));
        let path = |name: &str| format!("logging.options.{name}");
        let SyslogAddress::Tls(_, _, tls) = address else {
            // Of an address that is none something is said already.
            let known = options.get(super::ADDRESS).is_none_or(|text| super::address::parse(text).is_ok());
            let idle = [AUTHORITIES, CERTIFICATE, KEY, SKIP_VERIFY]
                .into_iter()
                .filter(|name| known && given(name).is_some());
            for name in idle {
                self.ignored(service, &path(name), "lines are sent by TLS to `tcp+tls://` alone");
            }
            return;
        };
        let anybody = given(SKIP_VERIFY).is_some_and(|value| super::truth(value).unwrap_or(false));
        tls.trust = match file(AUTHORITIES) {
            _ if anybody => SyslogTrust::Anybody,
            Some(path) => SyslogTrust::Besides(path),
            None => SyslogTrust::Machine,
        };
        match (file(CERTIFICATE), file(KEY)) {
            (Some(certificate), Some(key)) => tls.identity = Some(LogIdentity { certificate, key }),
            (None, None) => {}
            (Some(_), None) => {
                self.error(service, &path(CERTIFICATE), format!("log option `{CERTIFICATE}` needs `{KEY}`"))
            }
            (None, Some(_)) => {
                self.error(service, &path(KEY), format!("log option `{KEY}` needs `{CERTIFICATE}`"))
            }
        }
        if anybody && given(AUTHORITIES).is_some() {
            self.ignored(service, &path(AUTHORITIES), &format!("`{SKIP_VERIFY}` has any server believed"));
        }
    }
}
