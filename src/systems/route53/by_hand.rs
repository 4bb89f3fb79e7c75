//! The same by the `aws` command, and how a pre-image is read back.

use serde_json::Value;

use super::records::{Division, Group, change_batch};
use super::zone::Zone;
use crate::domain::system::Fault;
use crate::systems::shell::quoted;

/// The record sets that the journal holds.
///
/// # Errors
/// When they are not what a preview wrote.
pub fn kept(zone: &Zone, pre_image: &Value) -> Result<Group, Fault> {
    serde_json::from_value(pre_image.clone()).map_err(|error| {
        Fault::permanent(&zone.system, format!("the journal's pre-image of the record sets cannot be read: {error}"))
            .means("it is not known what was there before, so nothing is touched")
            .next("change the records by hand, and mark the step done")
    })
}

/// Commands that shift, wait and look. With a preview at hand the batch is its exact change; without one it is made of what is there.
pub fn shift(zone: &Zone, name: &str, kind: &str, division: &Division, seen: Option<&(Group, Group)>) -> Vec<String> {
    let (id, name) = (quoted(&zone.id), name.trim_end_matches('.'));
    let mut lines = vec![format!("# {name} {kind}: send clients to {}", division.to)];
    match seen {
        Some((from, to)) => {
            lines.push("cat > shift.json <<'END'".into());
            lines.push(format!("{:#}", change_batch(from, to)));
            lines.push("END".into());
        }
        None => {
            let query = format!("ResourceRecordSets[?Name=='{name}.' && Type=='{kind}']");
            lines.push(format!(
                "aws route53 list-resource-record-sets --hosted-zone-id {id} --query {} > before.json",
                quoted(&query)
            ));
            lines.push(format!("jq {} before.json > shift.json", quoted(&filter(division))));
        }
    }
    lines.push("# refused if anything has changed meanwhile: DELETE has to match every value".into());
    lines.push(format!(
        "id=$(aws route53 change-resource-record-sets --hosted-zone-id {id} --change-batch file://shift.json --query ChangeInfo.Id --output text)"
    ));
    lines.push("aws route53 wait resource-record-sets-changed --id \"$id\"".into());
    lines.extend(look(zone, name, kind));
    lines
}

/// Asks each of the zone's name servers.
pub fn look(zone: &Zone, name: &str, kind: &str) -> Vec<String> {
    let servers = format!(
        "aws route53 get-hosted-zone --id {} --query DelegationSet.NameServers --output text",
        quoted(&zone.id)
    );
    let dig = format!("dig +short +norecurse {} {} @\"$ns\"", quoted(name), quoted(kind));
    vec!["# what clients are told".into(), format!("for ns in $({servers}); do {dig}; done")]
}

/// For `jq`: from the record sets that are there to a batch that replaces them.
fn filter(division: &Division) -> String {
    let to = Value::from(division.to.as_str());
    let (weight, rest) = (division.weight, division.rest);
    format!(
        "{{Changes: (map({{Action: \"DELETE\", ResourceRecordSet: .}}) + map(\
         (if has(\"Weight\") then .Weight = (if .SetIdentifier == {to} then {weight} else {rest} end) \
         else .Failover = (if .SetIdentifier == {to} then \"PRIMARY\" else \"SECONDARY\" end) end) \
         | {{Action: \"CREATE\", ResourceRecordSet: .}}))}}"
    )
}
