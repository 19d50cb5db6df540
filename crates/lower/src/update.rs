//! How containers of a service are replaced: `deploy.update_config`.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::tree::Node;
use resource::{AfterFailure, StartFirst};

const CONFIG: &str = "deploy.update_config";

/// What is read where containers are replaced start-first; elsewhere it has no effect.
pub(crate) const START_FIRST_ONLY: [&str; 2] = ["failure_action", "parallelism"];

/// `deploy.update_config`, where it asks for `order: start-first`.
fn start_first(service: &Service) -> Option<&Node> {
    let config = service.tree.get("deploy")?.get("update_config")?;
    (config.str("order") == Some("start-first")).then_some(config)
}

/// Whether these settings of `deploy.update_config` have an effect.
pub(crate) fn is_honoured(service: &Service, key: &str) -> bool {
    start_first(service).is_some() && (key == "order" || START_FIRST_ONLY.contains(&key))
}

impl Lowering<'_> {
    /// How the service's containers are replaced without a gap, if that is asked for and possible.
    pub(crate) fn start_first(&mut self, service: &Service) -> Option<StartFirst> {
        let config = start_first(service)?;
        let why = self.only_one_at_a_time(service);
        if let Some(why) = why {
            self.ignored(
                service,
                &format!("{CONFIG}.order"),
                &format!("{why}; containers are replaced stop-first"),
            );
            return None;
        }
        let after_failure = match config.str("failure_action") {
            None | Some("" | "pause") => AfterFailure::Pause,
            Some("rollback") => AfterFailure::RollBack,
            Some("continue") => AfterFailure::Continue,
            Some(other) => {
                let message = format!("`{other}` is no `failure_action`: `pause`, `continue` or `rollback`");
                self.error(service, &format!("{CONFIG}.failure_action"), message);
                AfterFailure::Pause
            }
        };
        let at_once = config.get("parallelism").and_then(Node::as_int);
        Some(StartFirst {
            at_once: at_once.map_or(1, |count| u32::try_from(count).unwrap_or(1)),
            after_failure,
        })
    }

    /// Why no two containers of a number can run at once.
    fn only_one_at_a_time(&self, service: &Service) -> Option<String> {
        let fixed = |attachment: &compose_spec::model::Attachment| {
            attachment.ipv4_address.is_some()
                || attachment.ipv6_address.is_some()
                || attachment.mac_address.is_some()
        };
        if service.mac_address.is_some() || service.networks.values().any(fixed) {
            return Some("two containers cannot have one fixed address".to_owned());
        }
        let bound = |other: &&Service| crate::service::bound_to(other).contains(&service.name);
        let other = self.project.services.values().find(bound)?;
        Some(format!("`{}` shares namespaces or volumes with its containers", other.name))
    }
}
