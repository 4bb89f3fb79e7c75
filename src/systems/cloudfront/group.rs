//! What `GetDistribution` says of an origin group, and what that comes to.

use roxmltree::{Document, Node};

use crate::domain::health::Reading;
use crate::domain::text::clean;

/// Judges the group `wanted`, or the only one. `first` is the origin that has to come first.
pub fn judge(text: &str, wanted: Option<&str>, first: Option<&str>) -> Reading {
    let Ok(document) = Document::parse(text) else {
        return Reading::unknown("GetDistribution was answered, but not as CloudFront answers");
    };
    let root = document.root_element();
    let status = text_of(root, "Status").unwrap_or_else(|| "?".into());
    // Other parts of a distribution have an element of this name, too.
    let config = all(root, "DistributionConfig").next().unwrap_or(root);
    let mut own = config.children().filter(|it| it.tag_name().name() == "Enabled");
    if own.any(|it| it.text() == Some("false")) {
        return Reading::down("the distribution is disabled: it answers nobody");
    }
    let groups: Vec<Node<'_, '_>> = all(root, "OriginGroup").collect();
    let id = |group: &Node<'_, '_>| text_of(*group, "Id").unwrap_or_default();
    let ids = || groups.iter().map(id).collect::<Vec<_>>().join(", ");
    let group = match (wanted, &groups[..]) {
        (_, []) => return Reading::degraded("there is no origin group: a request that fails at its origin fails"),
        (None, [only]) => *only,
        (None, _) => return Reading::unknown(format!("there are several origin groups, say which: {}", ids())),
        (Some(wanted), _) => match groups.iter().find(|group| id(group) == wanted) {
            Some(group) => *group,
            None => return Reading::down(format!("there is no origin group `{}`: there are {}", clean(wanted), ids())),
        },
    };
    let members: Vec<String> = all(group, "OriginId").filter_map(|it| it.text().map(clean)).collect();
    let codes: Vec<String> = all(group, "StatusCode").filter_map(|it| it.text().map(clean)).collect();
    let name = id(&group);
    let detail = format!("{name}: {} on {}; {status}", members.join(", then "), codes.join(", "));
    let mut targets = all(root, "TargetOriginId").filter_map(|it| it.text());
    let used = targets.any(|target| target == name);
    match (&members[..], first) {
        _ if !used => Reading::degraded(format!("{detail}; no behaviour sends its requests there")),
        ([] | [_], _) => Reading::degraded(format!("{detail}; there is no second origin")),
        ([now, ..], Some(first)) if now != first => {
            Reading::degraded(format!("{detail}; {} does not come first", clean(first)))
        }
        _ if codes.is_empty() => Reading::degraded(format!("{detail}; no status makes it ask the second origin")),
        _ => Reading::healthy(detail),
    }
}

fn all<'a, 'd>(of: Node<'a, 'd>, name: &'static str) -> impl Iterator<Item = Node<'a, 'd>> {
    of.descendants().filter(move |it| it.is_element() && it.tag_name().name() == name)
}

/// The text of the first element of this name.
fn text_of(of: Node<'_, '_>, name: &'static str) -> Option<String> {
    all(of, name).next()?.text().map(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;

    fn distribution(enabled: bool, members: &[&str], codes: &[u16], target: &str) -> String {
        let member = |id: &&str| format!("<OriginGroupMember><OriginId>{id}</OriginId></OriginGroupMember>");
        let code = |code: &u16| format!("<StatusCode>{code}</StatusCode>");
        format!(
            "<Distribution xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>E1</Id><Status>Deployed</Status><ActiveTrustedSigners><Enabled>false</Enabled></ActiveTrustedSigners>\
             <DistributionConfig><OriginGroups><Items><OriginGroup><Id>web</Id><FailoverCriteria><StatusCodes><Items>{}</Items>\
             </StatusCodes></FailoverCriteria><Members><Items>{}</Items></Members></OriginGroup></Items></OriginGroups>\
             <DefaultCacheBehavior><TargetOriginId>{target}</TargetOriginId></DefaultCacheBehavior>\
             <Enabled>{enabled}</Enabled></DistributionConfig></Distribution>",
            codes.iter().map(code).collect::<String>(),
            members.iter().map(member).collect::<String>(),
        )
    }

    #[test]
    fn a_second_origin_has_to_be_there_and_in_use() {
        let both = ["east", "west"];
        type Row<'r> = (&'r str, String, Option<&'r str>, Option<&'r str>, Status, &'r str);
        let rows: [Row<'_>; 8] = [
            (
                "well",
                distribution(true, &both, &[500, 503], "web"),
                None,
                Some("east"),
                Status::Healthy,
                "east, then west on 500, 503; Deployed",
            ),
            ("by name", distribution(true, &both, &[500], "web"), Some("web"), None, Status::Healthy, "web: east"),
            (
                "another name",
                distribution(true, &both, &[500], "web"),
                Some("site"),
                None,
                Status::Down,
                "there are web",
            ),
            (
                "one alone",
                distribution(true, &["east"], &[500], "web"),
                None,
                None,
                Status::Degraded,
                "no second origin",
            ),
            (
                "turned round",
                distribution(true, &["west", "east"], &[500], "web"),
                None,
                Some("east"),
                Status::Degraded,
                "east does not come first",
            ),
            ("not in use", distribution(true, &both, &[500], "east"), None, None, Status::Degraded, "no behaviour"),
            ("on nothing", distribution(true, &both, &[], "web"), None, None, Status::Degraded, "no status makes it"),
            ("disabled", distribution(false, &both, &[500], "web"), None, None, Status::Down, "is disabled"),
        ];
        for (what, text, group, first, wanted, words) in rows {
            let seen = judge(&text, group, first);
            assert!(seen.status == wanted && seen.detail.contains(words), "{what}: {seen:?}");
        }
        assert_eq!(judge("<html>", None, None).status, Status::Unknown);
    }
}
