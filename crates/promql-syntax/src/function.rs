//! The functions and their signatures.

use crate::ValueType;

/// A function's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments; the last one repeats where `extra` allows more.
    pub args: &'static [ValueType],
    /// How the number of arguments may differ from `args`.
    pub extra: ExtraArgs,
    /// The type of its value.
    pub returns: ValueType,
    /// Whether a feature flag is needed.
    pub experimental: bool,
}

/// How the number of arguments may differ from the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraArgs {
    /// Exactly the signature.
    None,
    /// The last may be left out, or given up to this many times.
    UpTo(usize),
    /// The last may be left out, or given any number of times.
    Any,
}

const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;
const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;

const fn plain(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, extra: ExtraArgs::None, returns, experimental: false }
}

const fn trial(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, extra: ExtraArgs::None, returns, experimental: true }
}

const fn with_extra(function: Function, extra: ExtraArgs) -> Function {
    Function { extra, ..function }
}

/// All functions, sorted by name.
pub static FUNCTIONS: [Function; 90] = [
    plain("abs", &[V], V),
    plain("absent", &[V], V),
    plain("absent_over_time", &[M], V),
    plain("acos", &[V], V),
    plain("acosh", &[V], V),
    plain("asin", &[V], V),
    plain("asinh", &[V], V),
    plain("atan", &[V], V),
    plain("atanh", &[V], V),
    plain("avg_over_time", &[M], V),
    plain("ceil", &[V], V),
    plain("changes", &[M], V),
    plain("clamp", &[V, S, S], V),
    plain("clamp_max", &[V, S], V),
    plain("clamp_min", &[V, S], V),
    plain("cos", &[V], V),
    plain("cosh", &[V], V),
    plain("count_over_time", &[M], V),
    with_extra(plain("day_of_month", &[V], V), ExtraArgs::UpTo(1)),
    with_extra(plain("day_of_week", &[V], V), ExtraArgs::UpTo(1)),
    with_extra(plain("day_of_year", &[V], V), ExtraArgs::UpTo(1)),
    with_extra(plain("days_in_month", &[V], V), ExtraArgs::UpTo(1)),
    plain("deg", &[V], V),
    plain("delta", &[M], V),
    plain("deriv", &[M], V),
    trial("double_exponential_smoothing", &[M, S, S], V),
    trial("end", &[], S),
    plain("exp", &[V], V),
    plain("first_over_time", &[M], V),
    plain("floor", &[V], V),
    plain("histogram_avg", &[V], V),
    plain("histogram_count", &[V], V),
    plain("histogram_fraction", &[S, S, V], V),
    plain("histogram_quantile", &[S, V], V),
    with_extra(trial("histogram_quantiles", &[V, T, S, S], V), ExtraArgs::UpTo(9)),
    plain("histogram_stddev", &[V], V),
    plain("histogram_stdvar", &[V], V),
    plain("histogram_sum", &[V], V),
    with_extra(plain("hour", &[V], V), ExtraArgs::UpTo(1)),
    plain("idelta", &[M], V),
    plain("increase", &[M], V),
    with_extra(trial("info", &[V, V], V), ExtraArgs::UpTo(1)),
    plain("irate", &[M], V),
    with_extra(plain("label_join", &[V, T, T, T], V), ExtraArgs::Any),
    plain("label_replace", &[V, T, T, T, T], V),
    plain("last_over_time", &[M], V),
    plain("ln", &[V], V),
    plain("log10", &[V], V),
    plain("log2", &[V], V),
    trial("mad_over_time", &[M], V),
    trial("max_of", &[S, S], S),
    plain("max_over_time", &[M], V),
    trial("min_of", &[S, S], S),
    plain("min_over_time", &[M], V),
    with_extra(plain("minute", &[V], V), ExtraArgs::UpTo(1)),
    with_extra(plain("month", &[V], V), ExtraArgs::UpTo(1)),
    plain("pi", &[], S),
    plain("predict_linear", &[M, S], V),
    plain("present_over_time", &[M], V),
    plain("quantile_over_time", &[S, M], V),
    plain("rad", &[V], V),
    trial("range", &[], S),
    plain("rate", &[M], V),
    plain("resets", &[M], V),
    with_extra(plain("round", &[V, S], V), ExtraArgs::UpTo(1)),
    plain("scalar", &[V], S),
    plain("sgn", &[V], V),
    plain("sin", &[V], V),
    plain("sinh", &[V], V),
    plain("sort", &[V], V),
    with_extra(trial("sort_by_label", &[V, T], V), ExtraArgs::Any),
    with_extra(trial("sort_by_label_desc", &[V, T], V), ExtraArgs::Any),
    plain("sort_desc", &[V], V),
    plain("sqrt", &[V], V),
    trial("start", &[], S),
    trial("start_timestamp", &[V], V),
    plain("stddev_over_time", &[M], V),
    plain("stdvar_over_time", &[M], V),
    trial("step", &[], S),
    plain("sum_over_time", &[M], V),
    plain("tan", &[V], V),
    plain("tanh", &[V], V),
    plain("time", &[], S),
    plain("timestamp", &[V], V),
    trial("ts_of_first_over_time", &[M], V),
    trial("ts_of_last_over_time", &[M], V),
    trial("ts_of_max_over_time", &[M], V),
    trial("ts_of_min_over_time", &[M], V),
    plain("vector", &[S], V),
    with_extra(plain("year", &[V], V), ExtraArgs::UpTo(1)),
];

/// The function of this name.
pub fn function(name: &str) -> Option<&'static Function> {
    let idx = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
    Some(&FUNCTIONS[idx])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_function_is_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FUNCTIONS.iter().all(|f| function(f.name).is_some_and(|found| found.name == f.name)));
    }
}
