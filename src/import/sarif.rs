//! Findings in SARIF 2.1.0, which code hosts read: one run, its rules, and a result for each finding.

use serde_json::{Value as Json, json};

use super::lint::{Finding, RULES, Severity};

/// What stands in the document for a severity.
fn level(severity: Severity) -> &'static str {
    severity.name()
}

/// The document of all `findings`.
pub(crate) fn document(findings: &[Finding], version: &str) -> Json {
    let rules: Vec<Json> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "help": { "text": rule.remedy },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": { "group": rule.group.to_string() },
            })
        })
        .collect();
    let location = |place: &super::origin::Place| {
        let uri = place.file.replace('%', "%25").replace(' ', "%20");
        json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": place.line } } })
    };
    let results: Vec<Json> = findings
        .iter()
        .map(|one| {
            let index = RULES.iter().position(|rule| rule.id == one.rule).unwrap_or(0);
            json!({
                "ruleId": one.rule,
                "ruleIndex": index,
                "level": level(one.severity),
                "message": { "text": format!("{}. Remedy: {}", one.message, one.remedy) },
                "locations": [location(&one.place)],
                "relatedLocations": one.also.iter().map(location).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "sim lint", "version": version, "rules": rules } },
            "results": results,
        }],
    })
}
