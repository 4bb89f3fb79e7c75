//! IAM: whether the caller may do a thing. `SimulatePrincipalPolicy`, as
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html> has it.

use super::super::faults::Condition;
use super::super::xml::{leaf, node};
use super::Refusal;
use super::query::{Answered, Ask};
use super::sts::{ACCOUNT, ROLE};

/// The place of its faults.
pub const PLACE: &str = "iam";

/// Where the role lies: a session's ARN does not tell it.
const PATH: &str = "dr/";

/// What the role may change: only what these ARNs begin with. Whoever asks about `*` is told no.
const CHANGES: [&str; 9] = [
    "arn:aws:rds:us-east-1:123456789012:db:gennet-",
    "arn:aws:rds:us-west-2:123456789012:db:gennet-",
    "arn:aws:rds:eu-west-1:123456789012:db:gennet-",
    "arn:aws:route53:::hostedzone/Z",
    "arn:aws:route53:::change/",
    "arn:aws:route53:::healthcheck/",
    "arn:aws:s3:::gennet-",
    "arn:aws:route53-recovery-control::",
    "arn:aws:globalaccelerator::",
];

/// What the names of actions that only look begin with.
const LOOKS: [&str; 4] = ["Get", "List", "Describe", "Head"];

pub fn answer(ask: &Ask<'_>) -> Answered {
    match ask.action {
        "SimulatePrincipalPolicy" => simulate(ask),
        "GetRole" => role(ask),
        _ => ask.unknown(),
    }
}

fn arn() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{PATH}{ROLE}")
}

fn missing(what: &str) -> Refusal {
    Refusal::new(404, "NoSuchEntity", format!("The role with name {what} cannot be found."))
}

fn role(ask: &Ask<'_>) -> Answered {
    match ask.required("RoleName")? {
        ROLE => Ok(vec![node("Role", [leaf("Path", format!("/{PATH}")), leaf("RoleName", ROLE), leaf("Arn", arn())])]),
        other => Err(missing(other)),
    }
}

fn simulate(ask: &Ask<'_>) -> Answered {
    let source = ask.required("PolicySourceArn")?;
    if source != arn() {
        return Err(missing(source));
    }
    ask.required("ActionNames.member.1")?;
    let resource = ask.form.get("ResourceArns.member.1").map_or("*", String::as_str);
    let may_change = CHANGES.iter().any(|begin| resource.starts_with(begin));
    let read_only = ask.world.condition(PLACE, None) == Condition::ReadOnly;
    let asked = (1..).map_while(|nth| ask.form.get(&format!("ActionNames.member.{nth}")));
    let results = asked.map(|action| {
        let verb = action.split(':').nth(1).unwrap_or_default();
        let allowed = LOOKS.iter().any(|looks| verb.starts_with(looks)) || (may_change && !read_only);
        let decision = if allowed { "allowed" } else { "implicitDeny" };
        node(
            "member",
            [leaf("EvalActionName", action), leaf("EvalResourceName", resource), leaf("EvalDecision", decision)],
        )
    });
    Ok(vec![node("EvaluationResults", results), leaf("IsTruncated", false)])
}
