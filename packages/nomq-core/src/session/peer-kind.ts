/** Whether a peer speaks as the original devices do (`device`) or is a node of ours (`node`). */
export type PeerKind = "device" | "node";
