//! IAM: whether the caller may do a thing. `SimulatePrincipalPolicy`, as
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html> has it.

use super::super::faults::Condition;
use super::super::xml::{leaf, node};
use super::query::{Answered, Ask};

/// The place of its faults.
pub const PLACE: &str = "iam";

/// What the names of actions that only look begin with.
const LOOKS: [&str; 4] = ["Get", "List", "Describe", "Head"];

pub fn answer(ask: &Ask<'_>) -> Answered {
    match ask.action {
        "SimulatePrincipalPolicy" => simulate(ask),
        _ => ask.unknown(),
    }
}

fn simulate(ask: &Ask<'_>) -> Answered {
    ask.required("PolicySourceArn")?;
    ask.required("ActionNames.member.1")?;
    let read_only = ask.world.condition(PLACE, None) == Condition::ReadOnly;
    let asked = (1..).map_while(|nth| ask.form.get(&format!("ActionNames.member.{nth}")));
    let results = asked.map(|action| {
        let verb = action.split(':').nth(1).unwrap_or_default();
        let allowed = !read_only || LOOKS.iter().any(|looks| verb.starts_with(looks));
        let decision = if allowed { "allowed" } else { "implicitDeny" };
        node("member", [leaf("EvalActionName", action), leaf("EvalResourceName", "*"), leaf("EvalDecision", decision)])
    });
    Ok(vec![node("EvaluationResults", results), leaf("IsTruncated", false)])
}
