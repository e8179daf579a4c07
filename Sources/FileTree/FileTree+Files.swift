extension FileTree {
    /// The files at or below a node, with their payloads: the node itself when it is one. In no particular order.
    public func files(atOrBelow id: NodeID) -> [(NodeID, File)] {
        var found: [(NodeID, File)] = []
        var open = [id]
        while let here = open.popLast() {
            if let file = try? file(here) {
                found.append((here, file))
            } else if let below = try? entries(in: here) {
                open.append(contentsOf: below.map(\.node))
            }
        }
        return found
    }
}
