import Formats

extension SummaryDocument {
    /// The media type of ``openMetrics()``.
    public static let openMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    /// The summary in the OpenMetrics 1.0 text format, as `.status/metrics` holds it: what Prometheus and others read.
    public func openMetrics() -> String {
        var metrics = OpenMetricsWriter()
        metrics.family("twelvefs_mount", .info, help: "The mount that these metrics are of.") {
            $0.sample(1, suffix: "_info", labels: [("mountpoint", mountpoint), ("close_mode", closeMode)])
        }
        metrics.family("twelvefs_uploads", .gauge, help: "Uploads by state.") {
            for state in UploadState.allCases {
                $0.sample(Int64(counts[state, default: 0]), labels: [("state", state.rawValue)])
            }
        }
        metrics.family("twelvefs_assets", .gauge, help: "Assets of completed uploads by what became of them.") {
            for (status, count) in assets.byStatus { $0.sample(Int64(count), labels: [("status", status)]) }
        }
        metrics.family("twelvefs_assets_size_differs", .gauge, help: "Assets of another size than their files.") {
            $0.sample(Int64(assets.sizeDiffers))
        }
        metrics.family("twelvefs_written_bytes", .counter, unit: "bytes", help: "Bytes written into the mount.") {
            $0.sample(bytesWritten, suffix: "_total")
        }
        metrics.family("twelvefs_uploaded_bytes", .counter, unit: "bytes", help: "Bytes that the store took.") {
            $0.sample(bytesUploaded, suffix: "_total")
        }
        metrics.family("twelvefs_retries", .counter, help: "Calls that were repeated.") {
            $0.sample(Int64(retries), suffix: "_total")
        }
        // Nothing is written of it while nothing moves.
        if let bytesPerSecond {
            metrics.family("twelvefs_upload_bytes_per_second", .gauge, help: "The pace of all uploads together.") {
                $0.sample(bytesPerSecond)
            }
        }
        metrics.family("twelvefs_spool_used_bytes", .gauge, unit: "bytes", help: "Bytes that the spool takes.") {
            $0.sample(spoolUsed)
        }
        if let spoolLimit {
            metrics.family(
                "twelvefs_spool_limit_bytes", .gauge, unit: "bytes", help: "Bytes that the spool may take."
            ) {
                $0.sample(spoolLimit)
            }
        }
        if let rateLimit { metrics.write(rateLimit) }
        return metrics.exposition
    }
}

extension OpenMetricsWriter {
    /// Nothing is written of what the platform does not tell.
    fileprivate mutating func write(_ rateLimit: RateLimit) {
        family(
            "twelvefs_rate_limit_remaining", .gauge, help: "Calls that are left before the platform asks to wait."
        ) {
            $0.sample(rateLimit.remaining)
        }
        if let limit = rateLimit.limit {
            family("twelvefs_rate_limit", .gauge, help: "Calls that the platform allows in a window of time.") {
                $0.sample(limit)
            }
        }
        if let resetsAt = rateLimit.resetsAt {
            family(
                "twelvefs_rate_limit_reset_timestamp_seconds", .gauge, unit: "seconds",
                help: "When all calls are allowed again."
            ) {
                $0.sample(resetsAt.millisecondsSince1970 / 1000)
            }
        }
    }
}
