//! How containers of a service are replaced: `deploy.update_config`.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::tree::Node;
use compose_spec::units;
use resource::{AfterFailure, Update, UpdateOrder};
use std::time::Duration;

const CONFIG: &str = "deploy.update_config";

/// `deploy.update_config`, where it asks for anything.
fn config(service: &Service) -> Option<&Node> {
    service.tree.get("deploy")?.get("update_config").filter(|config| !config.is_null())
}

impl Lowering<'_> {
    /// How the service's containers are replaced, if that is asked for and possible.
    pub(crate) fn update(&mut self, service: &Service) -> Option<Update> {
        let config = config(service)?;
        if let Some(why) = self.only_one_at_a_time(service) {
            let why = format!("{why}; containers are replaced all at once");
            self.ignored(service, CONFIG, &why);
            return None;
        }
        let order = match config.str("order") {
            None | Some("" | "stop-first") => UpdateOrder::StopFirst,
            Some("start-first") => UpdateOrder::StartFirst,
            Some(other) => {
                self.bad(
                    service,
                    "order",
                    &format!("`{other}` is no `order`: `stop-first` or `start-first`"),
                );
                UpdateOrder::StopFirst
            }
        };
        let after_failure = match config.str("failure_action") {
            None | Some("" | "pause") => AfterFailure::Pause,
            Some("rollback") => AfterFailure::RollBack,
            Some("continue") => AfterFailure::Continue,
            Some(other) => {
                let known = "`pause`, `continue` or `rollback`";
                self.bad(service, "failure_action", &format!("`{other}` is no `failure_action`: {known}"));
                AfterFailure::Pause
            }
        };
        let at_once = config.get("parallelism").and_then(Node::as_int);
        Some(Update {
            order,
            at_once: at_once.map_or(1, |count| u32::try_from(count).unwrap_or(1)),
            delay: self.span(service, config, "delay"),
            monitor: self.span(service, config, "monitor"),
            tolerated: self.tolerated(service, config),
            after_failure,
        })
    }

    fn bad(&mut self, service: &Service, key: &str, message: &str) {
        self.error(service, &format!("{CONFIG}.{key}"), message);
    }

    /// A length of time; none where none is given.
    fn span(&mut self, service: &Service, config: &Node, key: &str) -> Duration {
        let Some(text) = config.str(key).filter(|text| !text.is_empty()) else { return Duration::ZERO };
        units::duration(text).unwrap_or_else(|why| {
            self.bad(service, key, &format!("`{text}` is no `{key}`: {why}"));
            Duration::ZERO
        })
    }

    /// The share of the replicas that may fail, in millionths.
    fn tolerated(&mut self, service: &Service, config: &Node) -> u32 {
        let Some(node) = config.get("max_failure_ratio").filter(|node| !node.is_null()) else { return 0 };
        match node.as_number() {
            Some(share) if (0.0..=1.0).contains(&share) => (share * 1e6) as u32,
            _ => {
                self.bad(service, "max_failure_ratio", "a share is a number from 0 to 1");
                0
            }
        }
    }

    /// Why no two containers of a number can be there at once.
    fn only_one_at_a_time(&self, service: &Service) -> Option<String> {
        let fixed = |attachment: &compose_spec::model::Attachment| {
            attachment.ipv4_address.is_some()
                || attachment.ipv6_address.is_some()
                || attachment.mac_address.is_some()
        };
        if service.mac_address.is_some() || service.networks.values().any(|attachment| fixed(attachment)) {
            return Some("two containers cannot have one fixed address".to_owned());
        }
        let bound = |other: &Service| crate::service::bound_to(other).contains(&service.name);
        let other = self.project.services.values().find(|other| bound(other))?;
        Some(format!("`{}` shares namespaces or volumes with its containers", other.name))
    }
}
