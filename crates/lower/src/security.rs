//! What a container may do.

use crate::lowering::Lowering;
use compose_spec::Service;
use resource::{SeccompChoice, SecuritySpec};
use std::path::Path;

impl Lowering<'_> {
    pub(crate) fn security(&mut self, service: &Service) -> SecuritySpec {
        let capability = |name: &String| {
            let upper = name.to_ascii_uppercase();
            upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
        };
        let mut security = SecuritySpec {
            privileged: service.privileged,
            capabilities_added: service.cap_add.iter().map(capability).collect(),
            capabilities_dropped: service.cap_drop.iter().map(capability).collect(),
            read_only_root: service.read_only,
            sysctls: service.sysctls.clone(),
            device_rules: service.device_cgroup_rules.clone(),
            ..SecuritySpec::default()
        };
        for device in &service.devices {
            if device.is_cdi() {
                self.error(
                    service,
                    "devices",
                    format!("device `{}`: CDI names are not supported", device.source),
                );
                continue;
            }
            let permissions = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
            if !permissions.chars().all(|letter| "rwm".contains(letter)) {
                self.error(
                    service,
                    "devices",
                    format!("`{permissions}` are no permissions: letters of `rwm`"),
                );
            }
            security.devices.push((
                device.source.clone().into(),
                device.target.clone(),
                permissions.to_owned(),
            ));
        }
        for (place, option) in service.security_opt.iter().enumerate() {
            self.security_option(service, &format!("security_opt.{place}"), option, &mut security);
        }
        security
    }

    fn security_option(&mut self, service: &Service, path: &str, option: &str, security: &mut SecuritySpec) {
        let (key, value) = match option.find(['=', ':']) {
            Some(place) => (&option[..place], &option[place + 1..]),
            None => (option, ""),
        };
        match (key, value) {
            ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
            ("no-new-privileges", "false") => security.no_new_privileges = false,
            ("systempaths", "unconfined") => security.unconfined_paths = true,
            ("seccomp", "unconfined") => security.seccomp = SeccompChoice::Unconfined,
            ("seccomp", "builtin") => security.seccomp = SeccompChoice::Default,
            ("seccomp", text) if text.trim_start().starts_with('{') => {
                security.seccomp = SeccompChoice::Profile(text.to_owned());
            }
            ("seccomp", file) => match self.text_of(file) {
                Ok(profile) => security.seccomp = SeccompChoice::Profile(profile),
                Err(why) => {
                    self.error(service, path, format!("seccomp profile `{file}` cannot be read: {why}"))
                }
            },
            ("label", _) => self.ignored(service, path, "SELinux labels are not supported"),
            ("apparmor", "unconfined") => {}
            ("apparmor", _) => self.ignored(service, path, "AppArmor profiles are not supported"),
            _ => self.error(service, path, format!("unknown security option `{option}`")),
        }
    }

    /// The text of a file named relative to the project directory.
    fn text_of(&self, file: &str) -> Result<String, String> {
        let path = self.project.directory.join(Path::new(file));
        let bytes = self.options.files.read(&path).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
    }
}
