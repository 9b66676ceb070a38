import { vi } from 'vitest';

// Before each file: a worker keeps what files before it have loaded, and with it what they have declared.
vi.resetModules();
