//! Deleted ranges of time: sorted, apart from each other, both ends included.

/// Adds a range and joins what touches.
pub(crate) fn add(ranges: &mut Vec<(i64, i64)>, (mut min, mut max): (i64, i64)) {
    ranges.retain(|(other_min, other_max)| {
        let apart = other_max.saturating_add(1) < min || max.saturating_add(1) < *other_min;
        if !apart {
            min = min.min(*other_min);
            max = max.max(*other_max);
        }
        apart
    });
    let at = ranges.partition_point(|range| range.0 < min);
    ranges.insert(at, (min, max));
}

/// Whether `time` is deleted.
pub(crate) fn contains(ranges: &[(i64, i64)], time: i64) -> bool {
    let at = ranges.partition_point(|range| range.1 < time);
    ranges.get(at).is_some_and(|range| range.0 <= time)
}

/// Whether the whole of a range is deleted.
pub(crate) fn covers(ranges: &[(i64, i64)], min: i64, max: i64) -> bool {
    ranges.iter().any(|range| range.0 <= min && max <= range.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Vec::new();
        for range in [(10, 20), (40, 50), (21, 25), (0, 5), (45, 60)] {
            add(&mut ranges, range);
        }
        assert_eq!(ranges, [(0, 5), (10, 25), (40, 60)]);
        assert!(
            contains(&ranges, 25) && !contains(&ranges, 26) && contains(&ranges, 0) && !contains(&ranges, 61)
        );
        assert!(covers(&ranges, 10, 20) && !covers(&ranges, 5, 10));
        add(&mut ranges, (i64::MIN, i64::MAX));
        assert_eq!(ranges, [(i64::MIN, i64::MAX)]);
    }
}
