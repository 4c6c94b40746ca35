//! The functions, a family per file.

mod change;
mod classic;
mod extended;
mod math;
mod native;
mod over_time;
mod quantile;
mod range;
mod rate;
mod regression;
mod sliding;
mod time;

pub(crate) use classic::{Bucket, bucket_fraction, bucket_quantile};
pub(crate) use extended::{extend_window, smooth_at};
pub(crate) use math::{float_function, go_max, go_min};
pub(crate) use native::{histogram_fraction, histogram_quantile, histogram_value};
pub(crate) use over_time::{HistogramTotal, Mean, present};
pub(crate) use quantile::quantile;
pub(crate) use range::{Kernel, RangeCall, RangeOutcome, Window, kernel};
pub(crate) use sliding::{RatePlan, Sliding, SlidingScratch, extremes, quantiles, sliding};
pub(crate) use time::{CivilTime, time_function};
