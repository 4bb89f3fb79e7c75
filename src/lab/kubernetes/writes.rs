//! PUT and PATCH: of deployments, their scale, and autoscalers.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::scale;
use super::patch::{self, Style};
use super::refusal::Refusal;
use super::resources::Resource;
use super::{Cluster, Kind};

/// A change that somebody asks for.
pub struct Write<'a> {
    pub resource: &'a Resource,
    pub name: &'a str,
    /// The scale subresource.
    pub scale: bool,
    /// `None` replaces the whole.
    pub patch: Option<Style>,
    pub body: Value,
    pub dry: bool,
}

impl Write<'_> {
    /// Makes the change, and answers what is then served.
    ///
    /// # Errors
    /// As the API server: not found, conflict with a newer version, or invalid.
    pub fn make(&self, cluster: &mut Cluster, now: Timestamp) -> Result<Value, Refusal> {
        let current = cluster.view.get(self.resource.kind, self.name).cloned();
        let current = current.ok_or_else(|| Refusal::not_found(self.resource, self.name))?;
        let known = self.body["metadata"]["resourceVersion"].as_str().filter(|known| !known.is_empty());
        if known.is_some_and(|known| current["metadata"]["resourceVersion"] != known) {
            return Err(Refusal::conflict(self.resource, self.name));
        }
        let wanted = self.wanted(&current);
        self.validate(&current, &wanted)?;
        let mut made = current.clone();
        made["spec"] = wanted["spec"].clone();
        made["metadata"]["annotations"] = match &wanted["metadata"]["annotations"] {
            Value::Null => json!({}),
            annotations => annotations.clone(),
        };
        if self.dry {
            if made["spec"] != current["spec"]
                && let Some(generation) = current["metadata"]["generation"].as_u64()
            {
                made["metadata"]["generation"] = (generation + 1).into();
            }
        } else {
            self.store(cluster, &made, now);
            made = cluster.view.get(self.resource.kind, self.name).cloned().unwrap_or(made);
        }
        Ok(if self.scale { scale(&made) } else { made })
    }

    fn wanted(&self, current: &Value) -> Value {
        let shown = if self.scale { scale(current) } else { current.clone() };
        let asked = match self.patch {
            Some(style) => {
                let mut asked = shown;
                patch::apply(&mut asked, &self.body, style);
                asked
            }
            None => self.body.clone(),
        };
        if !self.scale {
            return asked;
        }
        let mut wanted = current.clone();
        // `replicas` of 0 may be left out of a scale.
        wanted["spec"]["replicas"] =
            if asked["spec"]["replicas"].is_null() { 0.into() } else { asked["spec"]["replicas"].clone() };
        wanted
    }

    fn validate(&self, current: &Value, wanted: &Value) -> Result<(), Refusal> {
        let invalid = |what: &str| Err(Refusal::invalid(self.resource, self.name, what));
        if wanted["metadata"]["name"] != *self.name {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "the name of the object does not match the name on the URL",
            ));
        }
        let spec = &wanted["spec"];
        match self.resource.kind {
            Kind::Deployment if spec["selector"] != current["spec"]["selector"] => {
                invalid("spec.selector: field is immutable")
            }
            Kind::Deployment if !spec["template"].is_object() => invalid("spec.template: Required value"),
            Kind::Deployment if !spec["replicas"].is_null() && spec["replicas"].as_u64().is_none() => {
                invalid("spec.replicas: Invalid value: must be greater than or equal to 0")
            }
            Kind::Autoscaler => match (spec["minReplicas"].as_u64(), spec["maxReplicas"].as_u64()) {
                (Some(0), _) => invalid("spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"),
                (Some(min), Some(max)) if min <= max => Ok(()),
                (None, Some(1..)) if spec["minReplicas"].is_null() => Ok(()),
                _ => invalid("spec.maxReplicas: Invalid value: must be greater than or equal to `minReplicas`"),
            },
            _ => Ok(()),
        }
    }

    fn store(&self, cluster: &mut Cluster, made: &Value, now: Timestamp) {
        let (spec, annotations) = (made["spec"].clone(), made["metadata"]["annotations"].clone());
        match self.resource.kind {
            Kind::Deployment => {
                let Some(at) = cluster.deployments.iter().position(|it| it.name == self.name) else { return };
                let deployment = &mut cluster.deployments[at];
                deployment.annotations = annotations;
                if deployment.spec != spec {
                    deployment.spec = spec;
                    cluster.changed(at, now);
                }
            }
            Kind::Autoscaler => {
                let Some(autoscaler) = cluster.autoscalers.iter_mut().find(|it| it.name == self.name) else { return };
                (autoscaler.spec, autoscaler.annotations) = (spec, annotations);
            }
            // Nothing else can be written.
            _ => {}
        }
        cluster.touch(self.resource.kind, self.name);
        cluster.publish();
    }
}
