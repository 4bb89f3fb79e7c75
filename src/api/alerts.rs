//! What other monitoring sends, read as its own documentation says:
//! Alertmanager's webhook (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>), CloudWatch's alarms as SNS carries
//! them (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>) and as EventBridge does
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html>).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::alert::{Alert, NAME, REGION, Ringing};
use crate::domain::text::clean;
use crate::domain::time::At;

/// So many of one sending are read.
const MOST: usize = 1000;

/// The alerts in one sending, and what was left out of it.
///
/// # Errors
/// What it is instead, and what to do.
pub fn read(text: &[u8]) -> Result<(Vec<Alert>, Option<String>), String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("this is not JSON: {error}"))?;
    if let Some(alerts) = value.get("alerts").and_then(Value::as_array) {
        return alertmanager(&value, alerts);
    }
    cloudwatch(&value).map(|alert| (vec![alert.cleaned()], None))
}

fn alertmanager(whole: &Value, alerts: &[Value]) -> Result<(Vec<Alert>, Option<String>), String> {
    let truncated = whole.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or(0);
    let more = u64::try_from(alerts.len().saturating_sub(MOST)).unwrap_or_default() + truncated;
    let left = (more > 0).then(|| format!("{more} more alerts were left out of this sending"));
    let read: Result<Vec<Alert>, String> = alerts.iter().take(MOST).map(of_alertmanager).collect();
    Ok((read?, left))
}

fn of_alertmanager(given: &Value) -> Result<Alert, String> {
    let texts = |name: &str| -> BTreeMap<String, String> {
        let table = given.get(name).and_then(Value::as_object);
        let pairs = table.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let (labels, annotations) = (texts("labels"), texts("annotations"));
    if labels.is_empty() {
        return Err("an alert has no labels: this is not what Alertmanager sends".into());
    }
    let is = match given.get("status").and_then(Value::as_str) {
        Some("firing") => Ringing::Firing,
        Some("resolved") => Ringing::Resolved,
        other => {
            return Err(format!("an alert is `{}`: neither firing nor resolved", clean(other.unwrap_or_default())));
        }
    };
    let own = given.get("fingerprint").and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned);
    let id = own
        .unwrap_or_else(|| labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","));
    let said = ["summary", "description", "message"].iter().find_map(|name| annotations.get(*name));
    Ok(Alert {
        id: format!("alertmanager:{id}"),
        is,
        source: "alertmanager".into(),
        summary: said.cloned().unwrap_or_default(),
        starts_at: given.get("startsAt").and_then(Value::as_str).and_then(|at| at.parse::<At>().ok()),
        labels,
    }
    .cleaned())
}

fn cloudwatch(value: &Value) -> Result<Alert, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("Type"), text("Message")) {
        (Some("Notification"), Some(message)) => {
            let inside = serde_json::from_str(message)
                .map_err(|_| "the message that SNS carries is not JSON: it is no CloudWatch alarm".to_owned())?;
            return of_alarm(&inside);
        }
        (Some("SubscriptionConfirmation" | "UnsubscribeConfirmation"), _) => {
            return Err(
                "SNS asks to confirm a subscription: open its SubscribeURL yourself; Mayday follows no link".into()
            );
        }
        _ => {}
    }
    match value.get("detail") {
        Some(detail) => of_event(value, detail),
        None => of_alarm(value),
    }
}

fn state(word: Option<&str>) -> Result<Ringing, String> {
    match word {
        Some("ALARM") => Ok(Ringing::Firing),
        Some("OK") => Ok(Ringing::Resolved),
        Some("INSUFFICIENT_DATA") => Ok(Ringing::Unknown),
        other => Err(format!(
            "this is neither Alertmanager's webhook nor a CloudWatch alarm (its state is `{}`)",
            clean(other.unwrap_or_default())
        )),
    }
}

/// `arn:aws:cloudwatch:us-east-1:123456789012:alarm:name`
fn labels(name: &str, arn: Option<&str>, account: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(NAME.to_owned(), name.to_owned())]);
    let region = arn.and_then(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty());
    labels.extend(region.map(|region| (REGION.to_owned(), region.to_owned())));
    labels.extend(account.map(|account| ("account".to_owned(), account.to_owned())));
    labels
}

fn of_alarm(alarm: &Value) -> Result<Alert, String> {
    let text = |name: &str| alarm.get(name).and_then(Value::as_str);
    let is = state(text("NewStateValue"))?;
    let name = text("AlarmName").ok_or("the alarm has no name")?;
    let arn = text("AlarmArn");
    Ok(Alert {
        id: format!("cloudwatch:{}", arn.unwrap_or(name)),
        is,
        source: "cloudwatch".into(),
        labels: labels(name, arn, text("AWSAccountId")),
        summary: text("NewStateReason").or(text("AlarmDescription")).unwrap_or_default().to_owned(),
        starts_at: text("StateChangeTime").and_then(moment),
    })
}

fn of_event(event: &Value, detail: &Value) -> Result<Alert, String> {
    let state_of = |name: &str| detail.get("state")?.get(name)?.as_str();
    let is = state(state_of("value"))?;
    let name = detail.get("alarmName").and_then(Value::as_str).ok_or("the alarm has no name")?;
    let arn = event.get("resources").and_then(|it| it.get(0)).and_then(Value::as_str);
    let mut labels = labels(name, arn, event.get("account").and_then(Value::as_str));
    labels.extend(event.get("region").and_then(Value::as_str).map(|region| (REGION.to_owned(), region.to_owned())));
    Ok(Alert {
        id: format!("cloudwatch:{}", arn.unwrap_or(name)),
        is,
        source: "cloudwatch".into(),
        labels,
        summary: state_of("reason").unwrap_or_default().to_owned(),
        starts_at: state_of("timestamp").and_then(moment),
    })
}

/// CloudWatch writes `2026-11-30T05:47:00.000+0000`, without the colon that RFC 3339 has.
fn moment(text: &str) -> Option<At> {
    let with_colon = || {
        let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        format!("{rest}:{minutes}").parse::<At>().ok()
    };
    text.parse::<At>().ok().or_else(with_colon)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(value: &Value) -> Alert {
        let (alerts, left) = read(value.to_string().as_bytes()).unwrap();
        assert_eq!((alerts.len(), left), (1, None));
        alerts.into_iter().next().unwrap()
    }

    #[test]
    fn a_webhook_of_alertmanager_is_read() {
        let given = json!({
            "version": "4", "status": "firing", "receiver": "mayday", "truncatedAlerts": 0,
            "alerts": [{
                "status": "firing", "fingerprint": "5ef77f1f8a3ecb8d",
                "labels": { "alertname": "RegionDown", "region": "us-east-1", "severity": "critical" },
                "annotations": { "summary": "every \u{1b}[2Jprobe fails" },
                "startsAt": "2026-11-30T05:47:00.123Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "x",
            }],
        });
        let alert = one(&given);
        assert_eq!((alert.id.as_str(), alert.is), ("alertmanager:5ef77f1f8a3ecb8d", Ringing::Firing));
        assert_eq!(alert.words(), "RegionDown (us-east-1): every [2Jprobe fails");
        assert!(alert.starts_at.is_some());
        let mut odd = given.clone();
        odd["truncatedAlerts"] = json!(3);
        assert!(read(odd.to_string().as_bytes()).unwrap().1.unwrap().contains("3 more"));
        odd["alerts"][0]["status"] = json!("smouldering");
        assert!(read(odd.to_string().as_bytes()).unwrap_err().contains("smouldering"));
    }

    #[test]
    fn an_alarm_of_cloudwatch_is_read_by_sns_by_itself_and_by_eventbridge() {
        let alarm = json!({
            "AlarmName": "5xx", "AWSAccountId": "123456789012", "NewStateValue": "ALARM", "NewStateReason": "Threshold Crossed",
            "StateChangeTime": "2026-11-30T05:47:00.000+0000", "Region": "US East (N. Virginia)",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:5xx", "OldStateValue": "OK",
        });
        let carried = json!({ "Type": "Notification", "MessageId": "x", "Message": alarm.to_string() });
        let seen = one(&carried);
        assert_eq!(seen, one(&alarm));
        assert_eq!((seen.is, seen.words().as_str()), (Ringing::Firing, "5xx (us-east-1): Threshold Crossed"));
        assert_eq!(seen.starts_at, "2026-11-30T05:47:00Z".parse().ok());
        let mut ended = alarm.clone();
        ended["NewStateValue"] = json!("OK");
        assert_eq!((one(&ended).id, one(&ended).is), (seen.id.clone(), Ringing::Resolved));
        let event = json!({
            "detail-type": "CloudWatch Alarm State Change", "region": "us-east-1", "account": "123456789012",
            "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:5xx"],
            "detail": { "alarmName": "5xx", "state": { "value": "INSUFFICIENT_DATA", "reason": "no data", "timestamp": "2026-11-30T05:47:00.000+0000" } },
        });
        assert_eq!((one(&event).id, one(&event).is), (seen.id, Ringing::Unknown));
    }

    #[test]
    fn what_is_something_else_is_refused_in_words() {
        for (given, words) in [
            ("{", "not JSON"),
            ("{}", "neither Alertmanager's webhook nor a CloudWatch alarm"),
            (r#"{"Type":"SubscriptionConfirmation","Message":"x","SubscribeURL":"https://x"}"#, "follows no link"),
            (r#"{"Type":"Notification","Message":"your bill is ready"}"#, "no CloudWatch alarm"),
            (r#"{"alerts":[{"status":"firing"}]}"#, "no labels"),
        ] {
            let why = read(given.as_bytes()).unwrap_err();
            assert!(why.contains(words), "{given}: {why}");
        }
    }
}
