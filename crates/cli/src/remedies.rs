//! What a person can do where a registry did not do what it was asked for.

use engine::{EngineError, LoginError, Remedy};

/// What to do about an error of the engine's that comes of a registry.
pub(crate) fn of(error: &EngineError) -> Option<String> {
    if error.is_damaged_layer() {
        return Some(told(Remedy::Damaged, ""));
    }
    let error = error.of_registry()?;
    error.source.remedy().map(|remedy| told(remedy, &error.registry))
}

/// What to do about a login that the registry did not get to judge.
pub(crate) fn of_login(error: &LoginError) -> Option<String> {
    let LoginError::Refused { registry, source } = error else { return None };
    match source.remedy()? {
        // It is no login that this one needs.
        Remedy::Login | Remedy::NameOrLogin => None,
        Remedy::Later => Some("try again later".to_owned()),
        remedy => Some(told(remedy, registry)),
    }
}

/// What to do where something answers that is no registry.
const ANSWERER: &str = "check the name of the registry: what answers there is none, or a proxy or a network's own login page answers instead";

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
        Remedy::Later => {
            format!("try again later; who has logged in may be allowed more: `compose login {registry}`")
        }
        Remedy::Trouble => "that is the registry's own trouble: try again later, or tell whoever keeps it".to_owned(),
        Remedy::Reach => {
            "check the name of the registry, and whether this machine reaches it: HTTPS_PROXY, HTTP_PROXY and NO_PROXY count".to_owned()
        }
        Remedy::Repository => {
            "check the name; some registries want a repository to be made there before it is pushed to".to_owned()
        }
        Remedy::Size => {
            "the registry, or a proxy before it, takes nothing as large: have its limit raised, or make the layer smaller".to_owned()
        }
        Remedy::Answerer => ANSWERER.to_owned(),
        Remedy::Damaged => {
            "try again; if it stays so, the registry or something between is at fault: tell whoever keeps it".to_owned()
        }
        Remedy::Platform(platform) => {
            format!("ask for one that there is, `platform: {platform}`, which an emulator runs here if one is set up")
        }
        Remedy::Insecure => {
            format!("where that is as it should be, say `insecure = true` of `{registry}` in registries.conf")
        }
    }
}
