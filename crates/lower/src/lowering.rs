//! The state of one lowering: what is read from, and what was found wrong so far.

use crate::Options;
use compose_spec::{Project, Service};
use diagnostic::{Diagnostic, Severity, Span};
use resource::{ContainerName, Digest, PodName};
use sha2::{Digest as _, Sha256};

/// What every part of the lowering reads, and where it puts what it finds wrong.
pub(crate) struct Lowering<'a> {
    pub(crate) project: &'a Project,
    pub(crate) options: &'a Options<'a>,
    pub(crate) found: Vec<Diagnostic>,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(project: &'a Project, options: &'a Options<'a>) -> Self {
        Self { project, options, found: vec![] }
    }

    pub(crate) fn pod(&self) -> PodName {
        PodName(self.project.name.clone())
    }

    /// Text between the parts of a container's name.
    pub(crate) fn separator(&self) -> &'static str {
        if self.options.compatibility { "_" } else { "-" }
    }

    /// The name of the container with the number 1 of a service.
    pub(crate) fn first_container(&self, service: &str) -> ContainerName {
        let services = &self.project.services;
        let found = services.get(service).or_else(|| self.project.disabled_services.get(service));
        let fixed = found.and_then(|service| service.container_name.clone());
        let separator = self.separator();
        ContainerName(
            fixed.unwrap_or_else(|| format!("{}{separator}{service}{separator}1", self.project.name)),
        )
    }

    pub(crate) fn tell(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: String,
        text: &'static str,
    ) {
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(code, message),
            Severity::Warning => Diagnostic::warning(code, message),
        };
        self.found.push(diagnostic.at(span, text));
    }

    /// A warning about what several services use, told when the first of them does.
    pub(crate) fn tell_once(&mut self, code: &'static str, span: Span, message: String, text: &'static str) {
        let warning = Diagnostic::warning(code, message).at(span, text);
        if !self.found.contains(&warning) {
            self.found.push(warning);
        }
    }

    /// A value of a service that the engine cannot do.
    pub(crate) fn error(&mut self, service: &Service, path: &str, message: impl AsRef<str>) {
        let message = format!("service `{}`: {}", service.name, message.as_ref());
        self.tell(Severity::Error, "unusable-value", service.place(path), message, "");
    }

    /// An attribute of a service that has no effect here.
    pub(crate) fn ignored(&mut self, service: &Service, path: &str, why: &str) {
        let message = format!("service `{}`: `{path}` has no effect: {why}", service.name);
        self.tell(Severity::Warning, "no-effect", service.place(path), message, "this is ignored");
    }
}

/// SHA-256 of a text or of bytes, 64 hexadecimal digits.
pub(crate) fn hash(bytes: impl AsRef<[u8]>) -> String {
    Digest::of_sha256(&Sha256::digest(bytes).into()).hex().to_owned()
}
