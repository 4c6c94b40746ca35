//! Seeded PromQL expressions, with their parts so that a difference can be shrunk. Only what Prometheus 2.42 knows.

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// An expression and the vectors in it.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) parts: Vec<Query>,
}

impl Query {
    fn leaf(text: String) -> Self {
        Self { text, parts: Vec::new() }
    }
}

const SELECTORS: [&str; 10] = [
    "busy_total",
    "fresh_total",
    "level",
    "busy_total{instance=\"a\"}",
    "level{job=~\"x|z\"}",
    "level{instance!=\"b\"}",
    "info",
    "{__name__=~\"busy_total|level\",job=\"x\"}",
    "{job!~\"y|\",instance=~\".+\"}",
    "nothing",
];
const RANGES: [&str; 6] = ["31s", "1m", "90s", "5m", "17m", "40m"];
const OVER_TIME: [&str; 16] = [
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "deriv",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "present_over_time",
    "absent_over_time",
];
const MATH: [&str; 26] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "sqrt",
    "ln",
    "log2",
    "log10",
    "sgn",
    "sin",
    "cos",
    "atan",
    "tanh",
    "asinh",
    "deg",
    "rad",
    "timestamp",
    "hour",
    "minute",
    "day_of_week",
    "month",
    "year",
    "days_in_month",
    "sort",
    "absent",
    "-",
];
const OPERATORS: [&str; 18] = [
    "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool", "<= bool", "and",
    "or", "unless",
];
const MATCHINGS: [&str; 9] = [
    "",
    "",
    "on(instance,job)",
    "on(instance)",
    "ignoring(job)",
    "on(instance) group_left()",
    "ignoring(version,job) group_left(version)",
    "on(instance) group_left(version)",
    "on(instance) group_right()",
];
const GROUPINGS: [&str; 7] = [
    "",
    " by (instance)",
    " by (job)",
    " without (instance)",
    " by (instance, le)",
    " without ()",
    " by (__name__)",
];

/// When something is looked at: whole seconds and some milliseconds, which no sample and no step of a subquery has.
fn moment(random: &mut Random) -> String {
    random
        .pick(&[
            "",
            "",
            "",
            "",
            " offset 3m",
            " offset -2m",
            " @ 1700003000.007",
            " @ end()",
            " @ start() offset 1m",
        ])
        .to_owned()
}

fn range_vector(random: &mut Random, depth: u32) -> (String, Vec<Query>) {
    if depth > 0 && random.below(4) == 0 {
        let inner = vector(random, depth - 1);
        let range = random.pick(&["10m", "7m", "90s"]);
        let step = random.pick(&["1m", "47s", "15s", ""]);
        return (format!("({})[{range}:{step}]{}", inner.text, moment(random)), vec![inner]);
    }
    let (selector, range) = (random.pick(&SELECTORS), random.pick(&RANGES));
    (format!("{selector}[{range}]{}", moment(random)), Vec::new())
}

fn scalar(random: &mut Random) -> String {
    random
        .pick(&["1", "2.5", "-3", "0", "1e3", "NaN", "Inf", "time()", "pi()", "scalar(sum(busy_total))"])
        .to_owned()
}

/// A vector expression of at most this depth.
pub(crate) fn vector(random: &mut Random, depth: u32) -> Query {
    if depth == 0 {
        let (selector, moment) = (random.pick(&SELECTORS).to_owned(), moment(random));
        return Query::leaf(selector + &moment);
    }
    match random.below(20) {
        0..=2 => vector(random, 0),
        3..=6 => function_of_range(random, depth),
        7..=10 => aggregation(random, depth),
        11..=12 => {
            let inner = vector(random, depth - 1);
            let function = random.pick(&MATH);
            Query { text: format!("{function}({})", inner.text), parts: vec![inner] }
        }
        13 => {
            let inner = vector(random, depth - 1);
            let (function, limit) =
                (random.pick(&["clamp_min", "clamp_max", "round"]), random.pick(&["1", "0.5", "7"]));
            Query { text: format!("{function}({}, {limit})", inner.text), parts: vec![inner] }
        }
        14 => relabelled(random, depth),
        15 => Query::leaf(format!(
            "histogram_quantile({}, {})",
            random.pick(&["0.5", "0.99", "0", "1", "-1"]),
            random.pick(&["rate(took_bucket[5m])", "took_bucket", "sum by (le) (rate(took_bucket[3m]))"])
        )),
        16..=17 => {
            let (left, right) = (vector(random, depth - 1), vector(random, depth - 1));
            let (operator, mut matching) = (random.pick(&OPERATORS), random.pick(&MATCHINGS));
            if matches!(operator, "and" | "or" | "unless") {
                matching = matching.split(" group").next().unwrap_or_default();
            }
            Query {
                text: format!("({}) {operator} {matching} ({})", left.text, right.text),
                parts: vec![left, right],
            }
        }
        _ => {
            let (inner, scalar) = (vector(random, depth - 1), scalar(random));
            let operator = random.pick(&OPERATORS[..15]);
            let text = if random.below(2) == 0 {
                format!("({}) {operator} ({scalar})", inner.text)
            } else {
                format!("({scalar}) {operator} ({})", inner.text)
            };
            Query { text, parts: vec![inner] }
        }
    }
}

fn function_of_range(random: &mut Random, depth: u32) -> Query {
    if random.below(3) == 0 {
        let (function, counter) = (
            random.pick(&["rate", "increase"]),
            random.pick(&["busy_total", "busy_total{job=\"x\"}", "fresh_total"]),
        );
        let (range, moment) = (random.pick(&RANGES), moment(random));
        return Query::leaf(format!("{function}({counter}[{range}]{moment})"));
    }
    let (range, parts) = range_vector(random, depth);
    let text = match random.below(8) {
        0 => format!("quantile_over_time({}, {range})", random.pick(&["0.5", "0.9", "-1", "2", "0"])),
        1 if !range.contains('@') => {
            format!("predict_linear({range}, {})", random.pick(&["60", "-300", "3600"]))
        }
        _ => format!("{}({range})", random.pick(&OVER_TIME)),
    };
    Query { text, parts }
}

fn aggregation(random: &mut Random, depth: u32) -> Query {
    let grouping = random.pick(&GROUPINGS);
    let operator = random.pick(&[
        "sum",
        "avg",
        "min",
        "max",
        "count",
        "group",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "quantile",
        "count_values",
    ]);
    // What is counted by its text must be the same to the last digit: samples, not what is computed of them.
    let inner = vector(random, if operator == "count_values" { 0 } else { depth - 1 });
    let argument = match operator {
        "topk" => format!("2, {}", inner.text),
        "bottomk" => format!("1, {}", inner.text),
        "quantile" => format!("{}, {}", random.pick(&["0.3", "0.9", "1"]), inner.text),
        "count_values" => format!("\"value\", round({}, 10)", inner.text),
        _ => inner.text.clone(),
    };
    Query { text: format!("{operator}{grouping} ({argument})"), parts: vec![inner] }
}

fn relabelled(random: &mut Random, depth: u32) -> Query {
    let inner = vector(random, depth - 1);
    let text = if random.below(3) == 0 {
        format!("label_join({}, \"joined\", \"-\", \"instance\", \"job\")", inner.text)
    } else {
        let (target, value) = (random.pick(&["new", "job", "instance"]), random.pick(&["$1-x", "", "k${1}"]));
        let source = random.pick(&["instance", "job", "none"]);
        format!("label_replace({}, \"{target}\", \"{value}\", \"{source}\", \"(.*)\")", inner.text)
    };
    Query { text, parts: vec![inner] }
}
