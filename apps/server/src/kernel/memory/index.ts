export { appendEvent, listEvents, type MemoryEvent } from './events.ts'
export { memoryName, memoryPart } from './keys.ts'
export { readPart, writePart } from './parts.ts'
export { buildWindow, type Mode, updateMemory, type Window } from './window.ts'
