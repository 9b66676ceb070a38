/** What the API answers with, as far as the page shows it. Times are epoch ms, but an event's `timestamp`. */

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
  hasMore: boolean;
}

export interface Profile {
  id: string;
  email: string;
  role: 'user' | 'admin';
  mfaEnabled: boolean;
}

export interface MinuteCount {
  at: number;
  counts: Record<string, number>;
}

export const JOB_STATES = ['dead', 'failed', 'processing', 'pending', 'completed'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface Overview {
  now: number;
  version: string;
  uptimeSeconds: number;
  jobs: Record<JobState, number>;
  deadJobs: { type: string; count: number }[];
  endpoints: {
    total: number;
    inTrouble: (Pick<Endpoint, 'id' | 'disabledAt' | 'disabledReason' | 'failingSince'> & { host: string })[];
  };
  locks: { count: number; first: { subject: string; until: number }[] };
  reconciliation: { checkedAt: number; counts: Record<string, number> } | null;
  connections: { websocket: number; sse: number };
  eventsPerMinute: MinuteCount[];
  attemptsPerMinute: MinuteCount[];
  latency: { leMs: number | null; count: number }[];
  readerLag: Record<string, number>;
}

export interface Event {
  id: string;
  type: string;
  timestamp: string;
  payload: Record<string, unknown>;
}

export interface FailedAttempt {
  attempt: number;
  at: number;
  error: string;
}

export interface Job {
  id: string;
  type: string;
  status: JobState;
  priority: number;
  group: string;
  uniqueKey: string | null;
  attempts: number;
  crashes: number;
  runAt: number | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  failures: FailedAttempt[];
}

export type JobTypeStats = { type: string } & Record<JobState, number>;

export interface Endpoint {
  id: string;
  url: string;
  events: string[];
  description: string | null;
  status: 'enabled' | 'disabled';
  disabledAt: number | null;
  disabledReason: string | null;
  failingSince: number | null;
  previousSecretUntil: number | null;
  createdAt: number;
  updatedAt: number;
}

export interface Attempt {
  number: number;
  at: number;
  durationMs: number;
  status: number | null;
  response?: string | null;
  error: string | null;
}

export interface Delivery {
  id: string;
  endpointId: string;
  eventId: string;
  eventType: string;
  status: 'pending' | 'delivered' | 'dead';
  nextAttemptAt: number | null;
  createdAt: number;
  finishedAt: number | null;
  attempts: Attempt[];
}

export interface Trace {
  event: Event;
  request: {
    requestId: string | null;
    actorId: string | null;
    sessionId: string | null;
    ip: string | null;
    userAgent: string | null;
  } | null;
  commit: { outcome: string; hash: string | null };
  readers: { name: string; status: 'done' | 'waiting' | 'began later' }[];
  jobs: Pick<Job, 'id' | 'type' | 'status' | 'attempts' | 'createdAt' | 'finishedAt' | 'failures'>[];
  deliveries: Omit<Delivery, 'eventId' | 'eventType'>[];
  mails: {
    jobId: string;
    to: string;
    template: string;
    status: JobState;
    attempts: number;
    finishedAt: number | null;
  }[];
}

export interface Connection {
  id: string;
  transport: 'websocket' | 'sse';
  ip: string | null;
  connectedAt: number;
  bufferedBytes: number;
  userId: string | null;
  email: string | null;
  sessionId: string | null;
  events: string[];
  lastEventId: string | null;
}

export interface Account {
  id: string;
  email: string;
  role: 'user' | 'admin';
  status: 'active' | 'banned';
  emailVerified: boolean;
  mfaEnabled: boolean;
  bannedAt: number | null;
  banReason: string | null;
  lockedUntil: number | null;
  createdAt: number;
  updatedAt: number;
}

export interface Session {
  id: string;
  ip: string | null;
  userAgent: string | null;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
}

export interface AuditRow {
  id: string;
  type: string;
  timestamp: string;
  subject: string;
  outcome: 'success' | 'failure';
  actorId: string | null;
  sessionId: string | null;
  ip: string | null;
  userAgent: string | null;
  requestId: string | null;
  payload: Record<string, unknown>;
  details: Record<string, unknown> | null;
  hash: string | null;
}
