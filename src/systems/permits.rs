//! Whether the caller may do a thing in AWS, asked of IAM without doing it.
//!
//! `SimulatePrincipalPolicy` judges the policies of the caller's role
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>). It does not know of session policies and
//! of service control policies' conditions: a pass says that the role would do, not that nothing else can stand in the way.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::domain::estate::SystemSpec;
use crate::domain::kinds::{Param, ParamType, To, WayOut};
use crate::domain::readiness::access;
use crate::domain::system::{Fault, Fitness};
use crate::domain::text::clean;
use crate::outbound::http::{client, root};
use crate::systems::aws::{Aws, Call};

pub const STS_ENDPOINT_URL: Param =
    Param::optional("sts_endpoint_url", ParamType::Url, "an endpoint of STS other than AWS's own");
pub const IAM_ENDPOINT_URL: Param =
    Param::optional("iam_endpoint_url", ParamType::Url, "an endpoint of IAM other than AWS's own");

pub const IAM_WAY: WayOut = WayOut { peace: true, ..WayOut::new(IAM_ENDPOINT_URL.name, To::Always(REGION), "IAM") };

/// IAM is global; its one endpoint is signed for as in this region.
const REGION: &str = "us-east-1";
const ENDPOINT: &str = "https://iam.amazonaws.com/";
const VERSION: &str = "2010-05-08";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const PATIENCE: Duration = Duration::from_secs(5);

/// What a caller may do.
pub struct Permits {
    system: String,
    sts: Aws,
    iam: String,
    /// The role or user whose policies are judged; it does not change while the engine runs.
    principal: OnceCell<String>,
}

impl Permits {
    /// For `spec`, whose calls are made in `region`.
    pub fn new(spec: &SystemSpec, region: &str) -> Self {
        let params = &spec.params;
        Self {
            system: spec.id.to_string(),
            sts: Aws::new(spec, region, params.opt_text(STS_ENDPOINT_URL.name)),
            iam: params.opt_text(IAM_ENDPOINT_URL.name).unwrap_or(ENDPOINT).to_owned(),
            principal: OnceCell::new(),
        }
    }

    /// Whether all of `actions` (`rds:PromoteReadReplica`) are allowed.
    ///
    /// # Errors
    /// When nobody answers, or IAM refuses to say.
    pub fn fitness<'a>(&'a self, actions: &'a [&'a str]) -> BoxFuture<'a, Result<Fitness, Fault>> {
        Box::pin(async move {
            let principal = self.principal.get_or_try_init(|| self.identify()).await?;
            let denied =
                self.simulate(principal, actions).await?.map_err(|refusal| self.untold(principal, &refusal))?;
            Ok(Fitness { guards: vec![access(&denied, actions.len(), name(principal))] })
        })
    }

    /// IAM refuses to judge: what the caller may do is then not known, and nobody should read it as allowed.
    fn untold(&self, principal: &str, refusal: &str) -> Fault {
        let who = name(principal);
        Fault::permanent(&self.system, format!("IAM does not say what {who} may do: {refusal}"))
            .means("whether the step is allowed shows only when it is made")
            .next(format!("allow {who} `iam:SimulatePrincipalPolicy` on itself"))
    }

    async fn identify(&self) -> Result<String, Fault> {
        let sts = aws_sdk_sts::Client::new(&self.sts.config().await?);
        let told = self.sts.ask(Call::Read, "GetCallerIdentity", sts.get_caller_identity().send()).await?;
        Ok(principal(&clean(told.arn().unwrap_or_default())))
    }

    /// The actions that are denied, or why IAM does not say.
    async fn simulate(&self, principal: &str, actions: &[&str]) -> Result<Result<Vec<String>, String>, Fault> {
        let (status, text) = self.send(question(principal, actions)).await?;
        let document = roxmltree::Document::parse(&text);
        let Ok(document) = document else { return Ok(Err(format!("it answers {status}"))) };
        if status != 200 {
            let code = document.descendants().find(|node| node.has_tag_name_local("Code")).and_then(|node| node.text());
            return Ok(Err(format!("{status} {}", clean(code.unwrap_or_default()))));
        }
        Ok(Ok(denied(&document, actions)))
    }

    async fn send(&self, body: String) -> Result<(u16, String), Fault> {
        let silent = |why: String| {
            Fault::transient(&self.system, format!("IAM: {why}"))
                .means("whether these credentials may do it is not known")
        };
        let config = self.sts.config().await?;
        let provider = config.credentials_provider().ok_or_else(|| silent("there are no credentials".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| silent(root(&error)))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("iam")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| silent(root(&error)))?
            .into();
        let headers = [("content-type", FORM)];
        let signable =
            SignableRequest::new("POST", &self.iam, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .map_err(|error| silent(root(&error)))?;
        let signed = sign(signable, &params).map_err(|error| silent(root(&error)))?;
        let mut request = client().map_err(silent)?.post(&self.iam).timeout(PATIENCE);
        for (name, value) in headers.into_iter().chain(signed.output().headers()) {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| silent(root(&error.without_url())))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| silent(root(&error.without_url())))?;
        Ok((status, text))
    }
}

fn question(principal: &str, actions: &[&str]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("Action", "SimulatePrincipalPolicy"), ("Version", VERSION), ("PolicySourceArn", principal)]);
    for (action, nth) in actions.iter().zip(1..) {
        form.append_pair(&format!("ActionNames.member.{nth}"), action);
    }
    form.finish()
}

/// Tags by their local name: AWS gives every answer a namespace.
trait Local {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl Local for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

/// What was asked and not said to be allowed.
fn denied(document: &roxmltree::Document<'_>, actions: &[&str]) -> Vec<String> {
    let allowed: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name_local("member"))
        .filter_map(|node| {
            let text = |name: &str| node.children().find(|it| it.has_tag_name_local(name)).and_then(|it| it.text());
            (text("EvalDecision")? == "allowed").then(|| text("EvalActionName")).flatten()
        })
        .collect();
    actions.iter().filter(|action| !allowed.contains(action)).map(|action| (*action).to_owned()).collect()
}

/// The role behind an assumed one: IAM judges roles and users, not sessions. A role's path is not part of a session's ARN.
fn principal(arn: &str) -> String {
    let role = || {
        let rest = arn.strip_prefix("arn:aws:sts::")?;
        let (account, session) = rest.split_once(":assumed-role/")?;
        let (role, _) = session.split_once('/')?;
        Some(format!("arn:aws:iam::{account}:role/{role}"))
    };
    role().unwrap_or_else(|| arn.to_owned())
}

/// `role/recovery`
fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_behind_a_session_is_judged() {
        assert_eq!(principal("arn:aws:sts::1:assumed-role/recovery/ada"), "arn:aws:iam::1:role/recovery");
        assert_eq!(principal("arn:aws:iam::1:user/ada"), "arn:aws:iam::1:user/ada");
        assert_eq!(name("arn:aws:iam::1:role/recovery"), "role/recovery");
    }

    #[test]
    fn what_is_not_said_to_be_allowed_is_denied() {
        let text = r#"<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>
            <EvaluationResults>
              <member><EvalActionName>a:One</EvalActionName><EvalDecision>allowed</EvalDecision>
                <MatchedStatements><member><SourcePolicyId>p</SourcePolicyId></member></MatchedStatements></member>
              <member><EvalActionName>a:Two</EvalActionName><EvalDecision>implicitDeny</EvalDecision></member>
            </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"#;
        let document = roxmltree::Document::parse(text).unwrap();
        assert_eq!(denied(&document, &["a:One", "a:Two", "a:Three"]), ["a:Two", "a:Three"]);
    }
}
