//! `time_intervals` and the older `mute_time_intervals`.

use std::collections::BTreeMap;

use config::{Map, Node, Reported};
use jiff::tz::TimeZone;

use crate::time_interval::{
    TimeInterval, parse_days_of_month, parse_minute, parse_months, parse_weekdays, parse_years,
};

pub(super) fn read(map: &Map) -> Result<BTreeMap<String, Vec<TimeInterval>>, Reported> {
    let mut named = BTreeMap::new();
    for key in ["mute_time_intervals", "time_intervals"] {
        let Some(list) = map.optional(key) else {
            continue;
        };
        for node in list.list()? {
            let entry = node.map()?;
            let name = match entry.optional("name") {
                Some(name) => name.string()?,
                None => return Err(node.error("missing name in time interval")),
            };
            let intervals = entry.read_or("time_intervals", Vec::new(), |list| list.list_of(interval))?;
            entry.finish()?;
            if named.insert(name.clone(), intervals).is_some() {
                return Err(node.error(format_args!("time interval {name:?} is not unique")));
            }
        }
    }
    Ok(named)
}

fn interval(node: &Node) -> Result<TimeInterval, Reported> {
    let map = node.map()?;
    let interval = TimeInterval {
        times: map.read_or("times", Vec::new(), |list| list.list_of(times))?,
        weekdays: map
            .read_or("weekdays", Vec::new(), |list| list.list_of(|n| n.parse_with(parse_weekdays)))?,
        days_of_month: map.read_or("days_of_month", Vec::new(), |list| {
            list.list_of(|n| n.parse_with(parse_days_of_month))
        })?,
        months: map.read_or("months", Vec::new(), |list| list.list_of(|n| n.parse_with(parse_months)))?,
        years: map.read_or("years", Vec::new(), |list| list.list_of(|n| n.parse_with(parse_years)))?,
        location: map.read("location", location)?,
    };
    map.finish()?;
    Ok(interval)
}

fn location(node: &Node) -> Result<TimeZone, Reported> {
    let name = node.string()?;
    if name == "Local" {
        return Ok(TimeZone::system());
    }
    TimeZone::get(&name).map_err(|_| node.error(format_args!("unknown time zone {name}")))
}

fn times(node: &Node) -> Result<(u16, u16), Reported> {
    let map = node.map()?;
    let start = map.required("start_time")?.parse_with(parse_minute)?;
    let end = map.required("end_time")?.parse_with(parse_minute)?;
    map.finish()?;
    if start >= end {
        return Err(node.error("start time cannot be equal or greater than end time"));
    }
    Ok((start, end))
}
