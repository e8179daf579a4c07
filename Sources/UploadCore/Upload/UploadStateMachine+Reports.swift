/// A report of stored chunks until it is answered: under way, or waiting to be made again.
///
/// It keeps its chunks for as long, so that one whose answer is lost is repeated alone, whatever becomes of the others.
struct PendingReport: Sendable {
    let number: Int
    /// The chunks that it names, by index.
    var chunks: [Int]
    /// The call under way; nil while it waits.
    var call: CallID?
    /// The chunks that the call under way was the first to name.
    var claimed: [Int] = []
    var retry = RetryState()
    /// When it was first sent, where its being under way counts as progress.
    var firstSent: Instant?
}

/// Reports: put together from chunks that are stored, several under way at a time, answered in any order.
extension UploadStateMachine {
    /// How long a close waits for the answer to a report at least: the platform finalises an upload before it answers the
    /// last one.
    private static let leastReportPatience: Duration = .seconds(30)

    var reportsUnderWay: Int { reports.count { $0.call != nil } }

    /// Whether reports may be made: only content that is final is reported, since a chunk that changes after its report needs
    /// another session.
    private var mayReport: Bool {
        state == .finishing && scope != nil && withdrawal == nil && refusal == nil && doubt == nil && !isUnverified
            && callsHeldBack == nil
    }

    // MARK: Making them

    /// Makes the reports that are due, and puts others together, as many as may be under way at a time.
    mutating func startReports(at now: Instant, _ reaction: inout UploadReaction) {
        guard mayReport else { return }
        while reportsUnderWay < reportsAtOnce, let index = nextReport(at: now) { start(index, at: now, &reaction) }
    }

    /// The next report to make: one that is to be repeated, or one more.
    private mutating func nextReport(at now: Instant) -> Int? {
        if let due = reports.firstIndex(where: { $0.call == nil && ($0.retry.notBefore ?? now) <= now }) { return due }
        // Those that are to be repeated count: a platform that refuses them all is not asked about all others as well.
        guard let scope, let session, reports.count < reportsAtOnce else { return nil }
        let isLastIncluded = scope == .whole
        let count = session.reportableCount(includingLast: isLastIncluded)
        // As long as chunks are still to come, only full ones: so that few are left for the moment at which all is stored.
        guard count >= configuration.reportBatch || (count > 0 && session.isStored(includingLast: isLastIncluded))
        else {
            return nil
        }
        lastReport += 1
        let (number, most) = (lastReport, configuration.reportBatch)
        let chunks = self.session?.gather(intoReport: number, most: most, includingLast: isLastIncluded)
        reports.append(PendingReport(number: number, chunks: chunks ?? []))
        return reports.count - 1
    }

    private mutating func start(_ index: Int, at now: Instant, _ reaction: inout UploadReaction) {
        let number = reports[index].number
        guard let session, case let contents = session.contents(ofReport: number, reports[index].chunks),
            !contents.isEmpty
        else {
            // Its chunks were sent anew meanwhile, and are in another report.
            reports.remove(at: index)
            return
        }
        let id = nextCallID()
        reports[index].chunks = contents.map(\.chunkIndex)
        let claimed = self.session?.claim(reports[index].chunks) ?? []
        record(JournalDelta.claimed, claimed)
        let others = reports.lazy.filter { $0.call != nil }.reduce(0) { $0 + $1.chunks.count }
        let isNews =
            contents.contains { !session[$0.chunkIndex].isAccepted }
            && progress.isBeyond(reported: session.completedCount + others + contents.count)
        reports[index].retry.begin()
        reports[index].call = id
        reports[index].claimed = claimed
        if isNews, !reports[index].retry.hasFailed { reports[index].firstSent = now }
        reaction.actions.append(.call(id, .report(uploadID: session.uploadID, contents)))
    }

    /// When the next report that waits is to be made again.
    var nextRepetition: Instant? {
        guard mayReport, reportsUnderWay < reportsAtOnce else { return nil }
        return reports.lazy.filter { $0.call == nil }.compactMap(\.retry.notBefore).min()
    }

    // MARK: Their answers

    /// Takes the report out that this call made; nil when the answer comes too late to matter.
    mutating func takeReport(_ id: CallID) -> PendingReport? {
        reports.firstIndex { $0.call == id }.map { reports.remove(at: $0) }
    }

    mutating func reported(_ id: CallID, _ answer: ReportAnswer, at now: Instant) {
        guard let report = takeReport(id) else { return }
        if let url = answer.url, url != assetURL {
            assetURL = url
            deltas.append(.changed)
        }
        guard state.isUnderWay else { return }
        countAsProgress(report, until: now)
        session?.reported(report.chunks)
        if session?.delayed.isEmpty ?? true { failure = nil }
        sessionPollInterval = Self.pollInterval
        guard saysThatItIsComplete(answer) else { return }
        guard withdrawal == nil else {
            if isInherited { return staysComplete() }
            withdrawal?.isDecided = true
            withdrawal?.isComplete = true
            return
        }
        session?.everythingIsReported()
        isConfirmed = true
        refusal = nil
    }

    /// Whether an answer calls the upload complete and can be believed: it tells where the asset is, it has counted every chunk,
    /// and every chunk was named. Which report it answers does not matter, nor what became of the others.
    private func saysThatItIsComplete(_ answer: ReportAnswer) -> Bool {
        guard let session, scope == .whole, session.mayBeComplete, answer.url != nil else { return false }
        return answer.totalCompleted == session.plan.totalChunks
    }

    mutating func reportFailed(
        _ report: PendingReport, _ reason: UploadFailure, _ random: Double, at now: Instant,
        _ reaction: inout UploadReaction
    ) {
        guard state.isUnderWay else { return }
        guard withdrawal == nil else {
            session?.dissolve(report: report.number, report.chunks)
            return
        }
        failure = reason
        countAsProgress(report, until: now)
        var report = report
        report.call = nil
        if !configuration.retryPolicy.mayHaveTakenEffect(reason) { takeBackClaims(of: &report) }
        let decision = report.retry.failed(reason, policy: configuration.retryPolicy, random: random, at: now)
        if reason.kind == .conflict { conflicted(report, decision) }
        keep(report)
        if let wait = follow(decision, after: reason, needsSession: true, &reaction),
            let index = reports.firstIndex(where: { $0.number == report.number })
        {
            reports[index].retry.wait(until: now + wait, because: reason)
        }
    }

    /// The platform may not like several reports of an upload at a time; or it has this one already, and is complete.
    private mutating func conflicted(_ report: PendingReport, _ decision: RetryPolicy.Decision) {
        reportsAtOnce = max(1, reportsAtOnce / 2)
        let mayHaveBeenTakenBefore = report.claimed.isEmpty
        if case .again = decision, mayHaveBeenTakenBefore, session?.mayBeComplete ?? false {
            if let failure { lookInto(failure, isFinal: false) }
        }
    }

    /// It was not made.
    mutating func reportHeldBack(_ report: PendingReport) {
        var report = report
        report.call = nil
        if !report.retry.hasFailed { report.firstSent = nil }
        takeBackClaims(of: &report)
        keep(report)
    }

    private mutating func takeBackClaims(of report: inout PendingReport) {
        session?.unclaim(report.claimed)
        record(JournalDelta.unclaimed, report.claimed)
        report.claimed = []
    }

    /// Keeps a report that is to be made again, where its chunks are still what they were: not once the file is written again.
    private mutating func keep(_ report: PendingReport) {
        guard scope != nil, withdrawal == nil else {
            session?.dissolve(report: report.number, report.chunks)
            return
        }
        let index = reports.firstIndex { $0.number > report.number } ?? reports.endIndex
        reports.insert(report, at: index)
    }

    /// Drops the reports that wait; what they named is put into others when it is to be reported.
    mutating func dissolveIdleReports() {
        for report in reports where report.call == nil { session?.dissolve(report: report.number, report.chunks) }
        reports.removeAll { $0.call == nil }
    }

    // MARK: Stalls

    /// How long after a report was sent the close is answered though the report is still under way.
    var reportPatience: Duration { max(configuration.stallTimeout, Self.leastReportPatience) }

    /// When whoever waits in close is answered unless something moves before.
    ///
    /// A report on its way counts as progress, as finalising thousands of chunks takes time, but not for ever; and not one that
    /// is repeated.
    var stallDeadline: Instant? {
        guard state == .finishing, stall == nil, withdrawal == nil else { return nil }
        let quiet = progress.last + configuration.stallTimeout
        let sent = reports.lazy.filter { $0.call != nil }.compactMap(\.firstSent).max()
        return sent.map { max(quiet, $0 + reportPatience) } ?? quiet
    }

    /// The report was on its way until now, which was progress for as long as a close waits for it.
    private mutating func countAsProgress(_ report: PendingReport, until now: Instant) {
        guard stall == nil, let sent = report.firstSent else { return }
        progress.extend(to: min(now, sent + reportPatience - configuration.stallTimeout))
    }
}
