//! The labels of a scraped series and those of its target.

use model::{Labels, LabelsBuilder};

use crate::config::ScrapeLimits;

/// Adds the target's labels. Where both have a label, `honor_labels` keeps the series' own; else that is renamed.
pub(super) fn merge(labels: &mut LabelsBuilder, target: &Labels, honor_labels: bool) {
    if honor_labels {
        for (name, value) in target.iter() {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        return;
    }
    for (name, value) in target.iter() {
        if let Some(own) = labels.get(name).map(str::to_owned) {
            let mut renamed = format!("exported_{name}");
            while labels.get(&renamed).is_some() || target.get(&renamed).is_some() {
                renamed.insert_str(0, "exported_");
            }
            labels.set(&renamed, &own);
        }
        labels.set(name, value);
    }
}

/// Refuses more or longer labels than the job allows.
pub(super) fn check_limits(labels: &Labels, limits: ScrapeLimits) -> Result<(), String> {
    let metric = labels.metric_name();
    if limits.labels > 0 && labels.len() > limits.labels {
        let (count, limit) = (labels.len(), limits.labels);
        return Err(format!(
            "label_limit exceeded: metric {metric:?} has {count} labels, at most {limit} are allowed"
        ));
    }
    for (name, value) in labels.iter() {
        for (key, limit, len) in [
            ("label_name_length_limit", limits.label_name_length, name.len()),
            ("label_value_length_limit", limits.label_value_length, value.len()),
        ] {
            if limit > 0 && len > limit {
                return Err(format!(
                    "{key} exceeded: label {name:?} of metric {metric:?} has {len} bytes, at most {limit} are allowed"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashing_labels_are_renamed_or_honored() {
        let target = Labels::from_pairs([("instance", "i"), ("job", "j")]);
        for (own, honor, expected) in [
            (vec![("a", "b")], false, "{a=\"b\", instance=\"i\", job=\"j\"}"),
            (vec![("job", "x")], false, "{exported_job=\"x\", instance=\"i\", job=\"j\"}"),
            (
                vec![("job", "x"), ("exported_job", "y")],
                false,
                "{exported_exported_job=\"x\", exported_job=\"y\", instance=\"i\", job=\"j\"}",
            ),
            (vec![("job", "x")], true, "{instance=\"i\", job=\"x\"}"),
        ] {
            let mut labels = LabelsBuilder::from_labels(&Labels::from_pairs(own));
            merge(&mut labels, &target, honor);
            assert_eq!(labels.build().to_string(), expected);
        }
    }

    #[test]
    fn limits_name_themselves() {
        let labels = Labels::from_pairs([("__name__", "m"), ("long_name", "v")]);
        let limits = |labels, name, value| ScrapeLimits {
            labels,
            label_name_length: name,
            label_value_length: value,
            ..ScrapeLimits::default()
        };
        assert_eq!(check_limits(&labels, limits(2, 9, 1)), Ok(()));
        for (limits, word) in [(limits(1, 0, 0), "label_limit"), (limits(0, 8, 0), "label_name_length_limit")]
        {
            let error = check_limits(&labels, limits).expect_err(word);
            assert!(error.starts_with(word), "{error}");
        }
    }
}
