//! Windows over one column of timestamps: found once for all series of a target, which share it.

use crate::eval::matrix::Windows;
use crate::functions::RatePlan;
use crate::series::Steps;

/// Where the windows of all steps lie in a column of timestamps.
#[derive(Debug, Default)]
pub(crate) struct WindowPlan {
    times: Vec<i64>,
    of: Option<(Windows, Steps)>,
    /// First and one past the last index of each window.
    pub(crate) bounds: Vec<(usize, usize)>,
    /// Samples in all windows.
    pub(crate) used: u64,
    /// What `rate` and its like need of the timestamps; made by the first of them.
    pub(crate) rates: RatePlan,
}

/// Plans of the targets seen last: series of a few targets may come by turns.
#[derive(Debug, Default)]
pub(crate) struct WindowPlans {
    plans: Vec<WindowPlan>,
    /// The plan that makes room for the next target.
    oldest: usize,
}

/// As many targets' series may alternate.
const PLANS_MAX: usize = 8;

impl WindowPlans {
    /// The plan for a column of timestamps.
    pub(crate) fn of(&mut self, times: &[i64], windows: Windows, steps: Steps) -> &mut WindowPlan {
        let known = self.plans.iter().position(|plan| plan.is_for(times, windows, steps));
        let at = known.unwrap_or_else(|| {
            if self.plans.len() < PLANS_MAX {
                self.plans.push(WindowPlan::default());
                return self.plans.len() - 1;
            }
            self.oldest = (self.oldest + 1) % PLANS_MAX;
            self.oldest
        });
        let plan = &mut self.plans[at];
        if known.is_none() {
            plan.update(times, windows, steps);
        }
        plan
    }
}

/// With fewer steps than one for so many samples, bounds are searched for, not walked to.
const WALK_SAMPLES: usize = 16;

impl WindowPlan {
    fn is_for(&self, times: &[i64], windows: Windows, steps: Steps) -> bool {
        self.of == Some((windows, steps)) && self.times == times
    }

    /// Finds the windows.
    fn update(&mut self, times: &[i64], windows: Windows, steps: Steps) {
        self.of = Some((windows, steps));
        self.times.clear();
        self.times.extend_from_slice(times);
        self.bounds.clear();
        self.rates.clear();
        self.used = 0;
        let is_walked = steps.count.saturating_mul(WALK_SAMPLES) >= times.len();
        let (mut low, mut high) = (0, 0);
        for idx in 0..steps.count {
            let end = windows.end(steps.time(idx));
            let start = windows.start(end);
            if is_walked {
                while high < times.len() && times[high] <= end {
                    high += 1;
                }
                while low < high && times[low] <= start {
                    low += 1;
                }
            } else {
                high += times[high..].partition_point(|time| *time <= end);
                low += times[low..high].partition_point(|time| *time <= start);
            }
            self.bounds.push((low, high));
            self.used += (high - low) as u64;
        }
    }

    /// The number of samples in a step's window.
    pub(crate) fn size(&self, idx: usize) -> u64 {
        self.bounds.get(idx).map_or(0, |(low, high)| (high - low) as u64)
    }
}
