//! What a container may do.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::DeviceRequest;
use resource::{SeccompChoice, SecuritySpec};
use std::path::Path;

impl Lowering<'_> {
    pub(crate) fn security(&mut self, service: &Service) -> SecuritySpec {
        let mut security = SecuritySpec {
            privileged: service.privileged,
            capabilities_added: service.cap_add.iter().map(|name| capability(name)).collect(),
            capabilities_dropped: service.cap_drop.iter().map(|name| capability(name)).collect(),
            read_only_root: service.read_only,
            sysctls: service.sysctls.clone(),
            device_rules: service.device_cgroup_rules.clone(),
            ..SecuritySpec::default()
        };
        for key in service.sysctls.keys().filter(|key| !is_of_a_namespace(key)) {
            let message = format!("`{key}` is a kernel parameter of the whole machine, not of a container");
            self.error(service, "sysctls", message);
        }
        for (path, names) in [("cap_add", &service.cap_add), ("cap_drop", &service.cap_drop)] {
            let unknown = |name: &&String| !CAPABILITIES.contains(&capability(name).as_str());
            for (place, name) in names.iter().enumerate().filter(|(_, name)| unknown(name)) {
                self.error(service, &format!("{path}.{place}"), format!("`{name}` is no capability"));
            }
        }
        for (place, rule) in service.device_cgroup_rules.iter().enumerate() {
            if !is_device_rule(rule) {
                let message = format!("`{rule}` is no rule for devices: write it like `c 1:3 rwm`");
                self.error(service, &format!("device_cgroup_rules.{place}"), message);
            }
        }
        for device in &service.devices {
            if device.is_cdi() {
                security.cdi_devices.push(device.source.clone());
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
        for (place, request) in service.gpus.iter().enumerate() {
            self.device_request(service, &format!("gpus.{place}"), request, &mut security.cdi_devices);
        }
        let reserved = service.deploy.iter().flat_map(|deploy| &deploy.devices);
        for (place, request) in reserved.enumerate() {
            let path = format!("deploy.resources.reservations.devices.{place}");
            self.device_request(service, &path, request, &mut security.cdi_devices);
        }
        for (place, option) in service.security_opt.iter().enumerate() {
            self.security_option(service, &format!("security_opt.{place}"), option, &mut security);
        }
        security
    }

    fn device_request(
        &mut self,
        service: &Service,
        path: &str,
        request: &DeviceRequest,
        names: &mut Vec<String>,
    ) {
        let Some(named) = cdi_names(path, request) else {
            let message = "no driver gives such devices: name one, `nvidia`, `cdi` or `vendor.com/class`";
            return self.error(service, path, message);
        };
        names.extend(named);
        if request.driver.as_deref() == Some("cdi") {
            return;
        }
        if request.capabilities.iter().any(|name| name != "gpu") {
            self.ignored(service, &format!("{path}.capabilities"), "a CDI device has all that it can do");
        }
        if !request.options.is_empty() {
            self.ignored(service, &format!("{path}.options"), "a CDI device has none");
        }
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
            ("apparmor", "" | "unconfined") => security.apparmor = None,
            ("apparmor", profile) => security.apparmor = Some(profile.to_owned()),
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

/// The CDI names of the devices that a request means; `None` when no driver gives such devices. A driver is a
/// vendor (`nvidia`, `amd`: their class is `gpu`), a whole CDI kind (`vendor.com/class`), or `cdi`: then the ids
/// are names.
pub(crate) fn cdi_names(path: &str, request: &DeviceRequest) -> Option<Vec<String>> {
    let is_gpu = path.starts_with("gpus") || request.capabilities.iter().any(|name| name == "gpu");
    let kind = match request.driver.as_deref().filter(|driver| !driver.is_empty()) {
        Some("cdi") => return Some(request.device_ids.clone()),
        Some(kind) if kind.contains('/') => kind.to_owned(),
        Some(vendor) if is_gpu => format!("{vendor}.com/gpu"),
        None if is_gpu => "nvidia.com/gpu".to_owned(),
        _ => return None,
    };
    Some(match (request.device_ids.as_slice(), request.count) {
        ([], None | Some(-1)) => vec![format!("{kind}=all")],
        ([], Some(count)) => (0..count).map(|number| format!("{kind}={number}")).collect(),
        (ids, _) => ids.iter().map(|id| format!("{kind}={id}")).collect(),
    })
}

/// Whether it is a kind of device, its numbers or `*`, and what may be done: `c 1:* mr`.
fn is_device_rule(rule: &str) -> bool {
    let fields: Vec<&str> = rule.split_ascii_whitespace().collect();
    let [kind, numbers, access] = fields.as_slice() else { return false };
    let is_number = |text: &str| text == "*" || text.parse::<u32>().is_ok();
    matches!(*kind, "a" | "b" | "c")
        && numbers.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
        && access.len() <= 3
        && access.chars().all(|letter| "rwm".contains(letter))
}

/// Whether a kernel parameter belongs to a namespace that a container may have; sysctl(8) writes it with
/// dots or slashes.
fn is_of_a_namespace(key: &str) -> bool {
    let key = key.replace('/', ".");
    let ipc = ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];
    key.starts_with("net.")
        || key.starts_with("fs.mqueue.")
        || key.strip_prefix("kernel.").is_some_and(|name| name == "domainname" || ipc.contains(&name))
}

/// A capability's name in capitals, without `CAP_`.
pub(crate) fn capability(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

/// capabilities(7), Linux 5.9 and later, and the word for all of them.
pub(crate) const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
