// Explore: metrics and logs side by side, one time range. The URL holds both queries.

import { useState } from "react";
import { LogsSide } from "../explore/logs-side";
import { MetricsSide } from "../explore/metrics-side";
import { useLocation } from "../router";

export function Explore() {
  const { params } = useLocation();
  const hasMetrics = params.get("metrics") !== null;
  const hasLogs = params.get("logs") !== null;
  const [both, setBoth] = useState(!hasMetrics && !hasLogs);
  const showMetrics = both || hasMetrics || !hasLogs;
  const showLogs = both || hasLogs || !hasMetrics;
  return (
    <div className="page">
      <div className="page-head">
        <h1>Explore</h1>
        {!(showMetrics && showLogs) && (
          <button type="button" onClick={() => setBoth(true)}>
            {showMetrics ? "Add logs beside" : "Add metrics beside"}
          </button>
        )}
      </div>
      <div className={showMetrics && showLogs ? "charts-2 explore" : "explore"}>
        {showMetrics && <MetricsSide />}
        {showLogs && <LogsSide />}
      </div>
    </div>
  );
}
