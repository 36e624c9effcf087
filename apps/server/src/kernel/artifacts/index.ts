export {
  type Artifact,
  type Artifacts,
  type NewArtifact,
  openArtifacts,
  type Retention,
  RETENTIONS,
} from './artifacts.ts'
