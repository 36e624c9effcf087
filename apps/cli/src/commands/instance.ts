import { contract } from '@wheelhouse/contract'
import { age, bytes, moment, pairs, percent, share } from '../cells.ts'
import type { Group } from '../command.ts'
import { row } from '../row.ts'
import { exec } from './exec.ts'
import { instanceIds } from './instance-ids.ts'
import { logs } from './logs.ts'
import { shell } from './shell.ts'

const { instances, lifecycle, metrics } = contract.fleet

const list = row('fleet', instances.listInstances, {
  name: 'list',
  aliases: ['ls'],
  summary: 'The machines that you may see, newest first',
  columns: {
    ID: ({ id }) => id,
    NAME: ({ name }) => name,
    STATUS: ({ status }) => status,
    PROVIDER: ({ provider }) => provider,
    REGION: ({ region }) => region,
    CPU: ({ lastHeartbeat }) => percent(lastHeartbeat?.cpuPercent),
    MEMORY: ({ lastHeartbeat }) => share(lastHeartbeat?.memoryUsedBytes, lastHeartbeat?.memoryTotalBytes),
    DISK: ({ lastHeartbeat }) => share(lastHeartbeat?.diskUsedBytes, lastHeartbeat?.diskTotalBytes),
    SEEN: ({ lastHeartbeat }) => age(lastHeartbeat?.timestamp),
    LABELS: ({ tags }) => pairs(tags),
  },
  id: ({ id }) => id,
  about: { search: 'part of a name or id' },
  examples: ['wheelhouse instance list --status RUNNING', 'wheelhouse instance list -o json | jq .data[].id'],
})

const get = row('fleet', instances.getInstance, {
  name: 'get',
  aliases: ['show'],
  complete: instanceIds,
  columns: {
    ID: ({ id }) => id,
    Name: ({ name }) => name,
    Status: ({ status }) => status,
    Host: ({ hostname }) => hostname,
    Provider: ({ provider, region }) => (region ? `${provider} in ${region}` : provider),
    System: ({ distro, os, arch }) => [distro ?? os, arch].filter(Boolean).join(' '),
    Agent: ({ agentVersion }) => agentVersion,
    Labels: ({ tags }) => pairs(tags),
    CPU: ({ lastHeartbeat }) => percent(lastHeartbeat?.cpuPercent),
    Memory: ({ lastHeartbeat }) =>
      lastHeartbeat ? `${bytes(lastHeartbeat.memoryUsedBytes)} of ${bytes(lastHeartbeat.memoryTotalBytes)}` : '',
    Disk: ({ lastHeartbeat }) =>
      lastHeartbeat ? `${bytes(lastHeartbeat.diskUsedBytes)} of ${bytes(lastHeartbeat.diskTotalBytes)}` : '',
    Seen: ({ lastHeartbeat }) => (lastHeartbeat ? `${age(lastHeartbeat.timestamp)} ago` : 'never'),
    Created: ({ createdAt }) => moment(createdAt),
  },
  id: ({ id }) => id,
})

const remove = row('fleet', instances.deleteInstance, {
  name: 'delete',
  aliases: ['rm'],
  complete: instanceIds,
  about: {
    destroy: 'tear the machine itself down with its provider',
    backupVolume: 'back its volumes up first',
    backupLabel: 'label of that backup',
  },
  confirm: ({ args, flags }) =>
    flags.on('destroy')
      ? `Tear down ${args.one('id')} with everything on it?`
      : `Remove ${args.one('id')} from the fleet? The machine itself stays.`,
  said: ({ name, message }) => `${name}: ${message}`,
})

const top = row('fleet', metrics.getLatest, {
  name: 'usage',
  summary: 'How busy the machines are, busiest first',
  hide: ['instanceIds'],
  items: ({ metrics: samples }) => samples.toSorted((a, b) => b.cpuPercent - a.cpuPercent),
  columns: {
    INSTANCE: ({ instanceId }) => instanceId,
    CPU: ({ cpuPercent }) => percent(cpuPercent),
    LOAD: ({ loadAvg1 }) => loadAvg1?.toFixed(2),
    MEMORY: ({ memPercent }) => percent(memPercent),
    'OF MEMORY': ({ memTotal }) => bytes(memTotal),
    DISK: ({ diskPercent }) => percent(diskPercent),
    AGE: ({ timestamp }) => age(timestamp),
  },
  id: ({ instanceId }) => instanceId,
})

const processes = row('fleet', metrics.listProcesses, {
  name: 'top',
  aliases: ['ps'],
  summary: 'The processes that use most of a machine now',
  complete: instanceIds,
  items: ({ processes: running }) => running.toSorted((a, b) => b.cpu_percent - a.cpu_percent),
  columns: {
    PID: ({ pid }) => pid,
    USER: ({ user }) => user,
    CPU: ({ cpu_percent }) => percent(cpu_percent),
    MEMORY: ({ memory_percent }) => percent(memory_percent),
    SIZE: ({ memory_bytes }) => bytes(memory_bytes),
    STATE: ({ status }) => status,
    NAME: ({ name }) => name,
  },
  id: ({ pid }) => String(pid),
  examples: ['wheelhouse instance top my-host --watch'],
})

const events = row('fleet', metrics.listInstanceEvents, {
  name: 'events',
  complete: instanceIds,
  items: ({ events: happened }) => happened,
  columns: {
    TIME: ({ timestamp }) => moment(timestamp),
    EVENT: ({ type }) => type,
    DETAILS: ({ metadata }) => (metadata ? JSON.stringify(metadata) : ''),
  },
  id: ({ id }) => id,
})

const act = (name: 'suspend' | 'resume') =>
  row('fleet', lifecycle[`${name}Instance`], {
    name,
    complete: instanceIds,
    ...(name === 'suspend' ? { confirm: ({ args }) => `Stop ${args.one('id')}?` } : {}),
    said: ({ name: instance, status, message }) => `${instance} is ${status}: ${message}`,
  })

export const instanceGroup: Group = {
  name: 'instance',
  aliases: ['instances', 'i'],
  summary: 'Machines of the fleet',
  commands: [list, get, exec, shell, logs, processes, top, events, act('suspend'), act('resume'), remove],
}
