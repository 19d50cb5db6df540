//! What a person can do where a registry did not do what it was asked for.

use engine::{EngineError, LoginError, Remedy};

/// What to do about an error of the engine's that comes of a registry.
pub(crate) fn of(error: &EngineError) -> Option<String> {
    let error = error.of_registry()?;
    error.source.remedy().map(|remedy| told(remedy, &error.registry))
}

/// What to do about a login that did not come about for want of a connection.
pub(crate) fn of_login(error: &LoginError) -> Option<String> {
    let LoginError::Refused { registry, source } = error else { return None };
    let remedy = source.remedy()?;
    matches!(remedy, Remedy::Authority(_) | Remedy::Insecure).then(|| told(remedy, registry))
}

fn told(remedy: Remedy, registry: &str) -> String {
    match remedy {
        Remedy::NameOrLogin => {
            format!("check the name and the tag; a private image needs a login: `compose login {registry}`")
        }
        Remedy::Login => format!("log in to the registry: `compose login {registry}`"),
        Remedy::Authority(address) => {
            let host = address.strip_suffix(":443").unwrap_or(&address);
            format!("put that authority's certificate into /etc/containers/certs.d/{host}/ca.crt")
        }
        Remedy::Insecure => {
            format!("where that is as it should be, say `insecure = true` of `{registry}` in registries.conf")
        }
    }
}
