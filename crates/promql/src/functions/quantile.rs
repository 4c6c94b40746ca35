//! Quantiles of numbers.

use std::cmp::Ordering;

fn ascending(left: &f64, right: &f64) -> Ordering {
    match left.partial_cmp(right) {
        Some(order) => order,
        None => right.is_nan().cmp(&left.is_nan()),
    }
}

/// Sorts in ascending order with NaN first.
pub(crate) fn sort_ascending(values: &mut [f64]) {
    values.sort_unstable_by(ascending);
}

/// The places that a quantile lies between, and how near it is to the second.
fn rank(q: f64, count: usize) -> (usize, usize, f64) {
    let last = count - 1;
    let rank = q * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    (lower, (lower + 1).min(last), rank - rank.floor())
}

/// What a quantile is where the values do not matter.
fn trivial(q: f64, count: usize) -> Option<f64> {
    if count == 0 || q.is_nan() {
        return Some(f64::NAN);
    }
    if q < 0.0 {
        return Some(f64::NEG_INFINITY);
    }
    (q > 1.0).then_some(f64::INFINITY)
}

/// The q-quantile, interpolated between neighbours. Changes the order of the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if let Some(value) = trivial(q, values.len()) {
        return value;
    }
    let (lower, upper, weight) = rank(q, values.len());
    let (_, low, above) = values.select_nth_unstable_by(lower, ascending);
    let low = *low;
    let high = if upper == lower { low } else { above.iter().copied().min_by(ascending).unwrap_or(low) };
    low * (1.0 - weight) + high * weight
}

/// The same of values in ascending order.
pub(crate) fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    if let Some(value) = trivial(q, values.len()) {
        return value;
    }
    let (lower, upper, weight) = rank(q, values.len());
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let values = [3.0, f64::NAN, -1.0, 7.5, 7.5, f64::INFINITY, 0.0];
        for count in 0..=values.len() {
            for q in [-0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, f64::NAN] {
                let mut sorted = values[..count].to_vec();
                sort_ascending(&mut sorted);
                let selected = quantile(q, &mut values[..count].to_vec());
                assert_eq!(selected.to_bits(), quantile_of_sorted(q, &sorted).to_bits(), "{q} of {sorted:?}");
            }
        }
    }
}
