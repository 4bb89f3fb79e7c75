//! Errors as the API tells them: a `Status` object.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::resources::Resource;

#[derive(Debug)]
pub struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub fn no_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// About one object: `deployments.apps "auth" not found`.
    pub fn about(resource: &Resource, name: &str, code: StatusCode, reason: &'static str, what: &str) -> Self {
        let dot = if resource.group.is_empty() { "" } else { "." };
        let message = format!("{}{dot}{} \"{name}\" {what}", resource.plural, resource.group);
        let details = json!({ "name": name, "group": resource.group, "kind": resource.plural });
        Self { details, ..Self::new(code, reason, message) }
    }

    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::about(resource, name, StatusCode::NOT_FOUND, "NotFound", "not found")
    }

    pub fn invalid(resource: &Resource, name: &str, what: &str) -> Self {
        Self::about(resource, name, StatusCode::UNPROCESSABLE_ENTITY, "Invalid", &format!("is invalid: {what}"))
    }

    pub fn conflict(resource: &Resource, name: &str) -> Self {
        let what = "could not be updated: the object has been modified; please apply your changes to the latest version and try again";
        Self::about(resource, name, StatusCode::CONFLICT, "Conflict", what)
    }

    pub fn status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code.as_u16(),
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(self.status());
        if self.code == StatusCode::TOO_MANY_REQUESTS {
            return (self.code, [("retry-after", "1")], body).into_response();
        }
        (self.code, body).into_response()
    }
}
