import type { Extension } from './extension.js';

/** The extensions that are part of this build: a team that keeps its own in this repository adds them here. */
export const installed: readonly Extension[] = [];
