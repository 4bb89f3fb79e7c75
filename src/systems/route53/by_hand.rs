//! The same by the `aws` command, and how a pre-image is read back.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::records::{Division, change_batch};
use super::target::FAMILY;
use super::zone::Zone;
use crate::domain::system::Fault;
use crate::systems::shell::quoted;

/// What the journal holds of the time before a step.
///
/// # Errors
/// When it is not what a preview wrote.
pub fn kept<T: DeserializeOwned>(zone: &Zone, pre_image: &Value) -> Result<T, Fault> {
    if pre_image.is_null() {
        return Err(Fault::permanent(&zone.system, "it was so before this run, which changed nothing")
            .means("there is nothing to restore")
            .next("change it by hand if it has to be different"));
    }
    serde_json::from_value(pre_image.clone()).map_err(|error| {
        Fault::permanent(&zone.system, format!("what the journal holds of the time before cannot be read: {error}"))
            .means("it is not known what was there, so nothing is touched")
            .next("change it by hand, and mark the step done")
    })
}

/// Commands that shift, wait and look. With a preview at hand the batch is its exact change; without one it is made of what is there.
pub fn shift(zone: &Zone, name: &str, kind: Option<&str>, division: &Division) -> Vec<String> {
    let remembered = |kind: &str| zone.remembered(name, kind).and_then(|from| Some((division.of(&from).ok()?, from)));
    let kinds = kind.map_or_else(|| FAMILY.to_vec(), |kind| vec![kind]);
    let all: Vec<_> = kinds.iter().filter_map(|kind| remembered(kind)).collect();
    let seen =
        all.into_iter().reduce(|(to, from), (more_to, more_from)| ([to, more_to].concat(), [from, more_from].concat()));
    // Without a look it is the address that most clients ask for.
    let (kind, id, name) = (kind.unwrap_or("A"), quoted(&zone.id), name.trim_end_matches('.'));
    let mut lines = vec![format!("# {name} {kind}: send clients to {}", division.to)];
    match seen {
        Some((to, from)) => {
            lines.push("cat > shift.json <<'END'".into());
            lines.push(format!("{:#}", change_batch(&from, &to)));
            lines.push("END".into());
        }
        None if !division.values.is_empty() => {
            let value = division.values.get(&division.to).map_or("its value", String::as_str);
            lines.push(format!(
                "# a simple record: look at the preview (`p`) for the exact batch; it replaces what is there by {value}"
            ));
            return lines;
        }
        None => {
            let query = format!("ResourceRecordSets[?Name=='{}.' && Type=='{kind}']", name.replace('*', "\\052"));
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
